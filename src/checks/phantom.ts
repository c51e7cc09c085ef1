import { countText } from '../metrics/format.ts';
import type { Check } from './check.ts';
import { judgeNone, safety } from './none.ts';

export const phantom: Check = {
  ...safety,
  id: 'phantom',
  summary: 'no submit is stored though its user was told that it surely is not',
  needsRows: true,
  judge({ writes, examples }, settings) {
    const foreign = writes.causes.find(({ cell, cause }) => cell === 'phantom' && cause === 'foreign-commit');
    return judgeNone(settings, {
      count: writes.phantom,
      thing: ['submit stored that surely was not to be', 'submits stored that surely were not to be'],
      lines: examples.phantom,
      hint: foreign
        ? `; ${countText(foreign.count, 'transaction')} committed by somebody else's COMMIT, on a connection handed on unclean`
        : '',
    });
  },
};
