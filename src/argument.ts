import { InvalidArgumentError } from 'commander';

/** A whole number. */
export function whole(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

export function speed(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 10_000))
    throw new InvalidArgumentError('It must be a number from 1 to 10000.');
  return value;
}

/** Names with commas between. */
export const list = (text: string): string[] => text.split(',').map(name => name.trim());
