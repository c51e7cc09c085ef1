import { invalidStream, invalidToxicType } from './api-error.ts';
import { attributesOf, type Body, number, text } from './fields.ts';
import * as registry from './toxics/index.ts';
import type { Attributes, Toxic } from './toxics/toxic.ts';

/** A toxic as somebody put it on a proxy. */
export interface InstalledToxic {
  name: string;
  type: string;
  /** As it was sent; `direction` is what it means. */
  stream: string;
  direction: 'upstream' | 'downstream';
  /** The share of connections it hits, 0 to 1. */
  toxicity: number;
  attributes: Attributes;
  toxic: Toxic;
}

export const toxics = registry satisfies Record<string, Toxic> as Record<string, Toxic>;

export function toxicFrom(body: Body): InstalledToxic {
  const type = text(body, 'type', '');
  const stream = text(body, 'stream', 'downstream');
  const direction = stream.toLowerCase();
  const toxicity = number(body, 'toxicity', 1);
  const name = text(body, 'name', '') || `${type}_${stream}`;
  if (direction !== 'upstream' && direction !== 'downstream') throw invalidStream();
  if (!Object.hasOwn(toxics, type)) throw invalidToxicType(Object.keys(toxics));
  const toxic = toxics[type]!;
  return { name, type, stream, direction, toxicity, attributes: attributesOf(body, toxic.attributes), toxic };
}

/** Only toxicity and attributes can change. */
export const toxicChanged = (toxic: InstalledToxic, body: Body): InstalledToxic => ({
  ...toxic,
  toxicity: number(body, 'toxicity', toxic.toxicity),
  attributes: attributesOf(body, toxic.toxic.attributes, toxic.attributes),
});

export const toxicJson = ({ attributes, name, type, stream, toxicity }: InstalledToxic): object => ({
  attributes,
  name,
  type,
  stream,
  toxicity,
});
