import type { Report } from '../report.ts';

/** A report as text of some form. Pure: equal reports give equal text. */
export interface Reporter {
  name: string;
  /** One line for `poolsoak list`. */
  summary: string;
  /** Its file in the result folder. */
  file: string;
  render(report: Report): string;
}
