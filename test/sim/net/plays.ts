import { test } from 'vitest';
import { real } from './real-stage.ts';
import { type Client, linked, type ServerScript, type Stage } from './stage.ts';
import { virtual } from './virtual-stage.ts';

/** Plays that run over both stages: the lists of events they expect are the same. */

export const stages = [
  ['real sockets through the real proxy', real],
  ['the virtual network', virtual],
] as const;

type OnStage = (play: (stage: Stage) => Promise<void>) => Promise<void>;

export const over = (client: Client) => () => client.heard.events.some(event => event.startsWith('close'));

export const has = (end: { heard: { events: string[] } }, event: string) => () =>
  end.heard.events.includes(event);

export interface Two {
  client: Client;
  server: ServerScript;
}

export function plays(onStage: OnStage) {
  const play = (what: string, act: (stage: Stage) => Promise<void>) => test(what, () => onStage(act));
  const withLink = (
    what: string,
    act: (stage: Stage, two: Two) => Promise<void>,
    options: { allowHalfOpen?: boolean } = {},
  ) => play(what, async stage => act(stage, await linked(stage, options)));
  return { play, withLink };
}
