import type { Reporter } from './reporter.ts';

export const json: Reporter = {
  name: 'json',
  summary: 'result.json: everything, for machines',
  file: 'result.json',
  render: report => `${JSON.stringify(report, null, 2)}\n`,
};
