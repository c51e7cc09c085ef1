import { ApiError, aboveLimit, badBody, missingField } from './api-error.ts';
import { type ProxySettings, toxicsMax } from './fault-proxy.ts';
import { type Body, flag, listOf, text, valueAt } from './fields.ts';
import { toxicFrom } from './installed-toxic.ts';

/** A proxy as somebody asked for it. */
export interface Wanted {
  name: string;
  settings: ProxySettings;
  /** As it was sent, if it was. */
  mirror?: boolean;
  /** None: whatever it has. */
  toxics?: Body[];
}

export function wantedOf(body: Body): Wanted {
  const mirror = flag(body, 'mirror', undefined);
  const settings = {
    listen: text(body, 'listen', ''),
    upstream: text(body, 'upstream', ''),
    enabled: flag(body, 'enabled', true),
    mirror: mirror ?? false,
  };
  return { name: text(body, 'name', ''), settings, ...(mirror !== undefined && { mirror }) };
}

/** The list of POST /populate and of a config file: valid, or an error that says where. */
export function populationOf(list: unknown): Wanted[] {
  return listOf(list).map((body, i) => {
    try {
      return memberOf(body);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ApiError(error.status, `${error.message} at proxy ${i + 1}`);
    }
  });
}

function memberOf(body: Body): Wanted {
  const wanted = wantedOf(body);
  if (wanted.name === '') throw missingField('name');
  if (wanted.settings.upstream === '') throw missingField('upstream');
  const sent = valueAt(body, 'toxics');
  if (sent === null) return wanted;
  const toxics = listOf(sent, 'toxics');
  if (toxics.length > toxicsMax) throw aboveLimit('toxics of a proxy', toxicsMax, toxics.length);
  const names = toxics.map(toxic => toxicFrom(toxic).name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw badBody(`toxics: "${twice}" is there twice`);
  return { ...wanted, toxics };
}
