import { z } from 'zod';
import { countText, durationText, linesText } from '../metrics/format.ts';
import { type Episode, type ExhaustionCause, exhaustionCauses } from '../metrics/types.ts';
import { type Check, type Finding, numberIn, unlessMachine } from './check.ts';
import { hintText, type Trouble } from './hints.ts';

const hintsOf: Record<ExhaustionCause, Trouble[]> = {
  leak: ['leak'],
  'broken-timeout': ['waits'],
  starved: ['waits', 'poisoned'],
  'server-limit': ['server-limit'],
  'client-limit': ['waits'],
};

/** In words: what the episode's cause means. */
const meaning: Record<ExhaustionCause, string> = {
  leak: 'connections of settled submits were not given back',
  'broken-timeout': 'waits outlived the acquire timeout',
  starved: 'submits waited though not every connection was in use',
  'server-limit': 'the server refused connections',
  'client-limit': 'every connection was in use',
};

export const exhaustion: Check = {
  id: 'exhaustion',
  summary: 'connections do not run out by a leak, by dead slots or by a timeout that does not work',
  kind: 'liveness',
  settings: z.strictObject({
    /** Causes that fail; the others inform. */
    causes: z.array(z.enum(exhaustionCauses)).default(['leak', 'starved', 'broken-timeout']),
    max: z.number().int().min(0).default(0),
  }),
  durations: [],
  byDefault: true,
  needsRows: false,
  judge(metrics, settings, { plan }) {
    const causes = settings.causes as ExhaustionCause[];
    const max = numberIn(settings, 'max');
    const counts = (episode: Episode) =>
      causes.some(cause => episode.cause === cause || episode.also.includes(cause));
    const bad = metrics.exhaustion.filter(counts);
    const others = metrics.exhaustion.filter(episode => !counts(episode));
    const of = (episodes: readonly Episode[]): Finding => {
      const seen = causes.filter(cause =>
        episodes.some(each => each.cause === cause || each.also.includes(cause)),
      );
      const allowed = max === 0 ? 'none' : `at most ${max}`;
      const named = (seen.length > 0 ? seen : causes).join(', ');
      const said = `${countText(episodes.length, 'episode')} of ${named}, ${allowed} allowed`;
      const apart = others.length > 0 ? `; ${informs(others)}` : '';
      const [first] = episodes;
      if (!first || episodes.length <= max)
        return { verdict: 'pass', because: `${said}${apart}`, limit: max, seen: episodes.length };
      const story = `; the first is ${describe(first, plan.speed)}`;
      const all = [first.cause, ...first.also].flatMap(cause => hintsOf[cause]);
      const because = `${said}${story}${apart}${hintText(plan, ...all)}`;
      return { verdict: 'fail', because, limit: max, seen: episodes.length };
    };
    return unlessMachine(metrics, of(bad), of(bad.filter(({ spoilt }) => !spoilt)));
  },
};

function describe({ cause, also, fromMs, toMs, submits, waitingMax, lines }: Episode, speed: number): string {
  const from = `from ${durationText(fromMs, speed)} for ${durationText(toMs - fromMs, speed)}`;
  const beside = also.length > 0 ? `, with ${also.join(' and ')}` : '';
  const hit = `${countText(submits, 'submit')} waited, at most ${waitingMax} at once`;
  return `${cause}${beside} ${from}: ${meaning[cause]}; ${hit}${linesText(lines)}`;
}

function informs(episodes: readonly Episode[]): string {
  const causes = [...new Set(episodes.map(({ cause }) => cause))];
  return `for information: ${countText(episodes.length, 'episode')} of ${causes.join(', ')}`;
}
