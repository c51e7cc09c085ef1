import type { Random } from '../random.ts';
import { invalidStream, invalidToxicType } from './api-error.ts';
import { attributesOf, type Body, number, text } from './fields.ts';
import { type Select, selectOf } from './select.ts';
import * as registry from './toxics/index.ts';
import type { Attributes, Shared, Toxic } from './toxics/toxic.ts';

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
  select: Select;
  /** Of a selection by rank: the connections chosen when it was made. */
  victims: ReadonlySet<number> | null;
  shared: Shared;
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
  return {
    name,
    type,
    stream,
    direction: toxic.direction ?? direction,
    toxicity,
    attributes: attributesOf(body, toxic.attributes),
    select: selectOf(body, toxic, {}),
    victims: null,
    shared: { count: 0 },
    toxic,
  };
}

/** Only toxicity, attributes and selection can change. */
export const toxicChanged = (before: InstalledToxic, body: Body): InstalledToxic => ({
  ...before,
  toxicity: number(body, 'toxicity', before.toxicity),
  attributes: attributesOf(body, before.toxic.attributes, before.attributes),
  select: selectOf(body, before.toxic, before.select),
});

export const toxicJson = ({ attributes, name, type, stream, toxicity, select }: InstalledToxic): object => ({
  attributes,
  name,
  type,
  stream,
  toxicity,
  // Not in Toxiproxy, so not shown to who has not asked for it.
  ...(Object.keys(select).length > 0 && { select }),
});

/**
 * Whether a connection is this toxic's to hit at all, at once or when its selection fits. One draw for each pair of
 * toxic and connection, whatever else is installed, so that victims stay the same.
 */
export function hits(
  random: Random,
  toxic: InstalledToxic,
  link: { id: number; clientPort: number },
): boolean {
  const { name, toxicity, select } = toxic;
  const port = select.clientPort ?? link.clientPort;
  return port === link.clientPort && random.fork('toxicity', name, link.id).next() < toxicity;
}
