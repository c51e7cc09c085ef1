/** What PostgreSQL says when something went wrong: thrown inside the server, told to the client. */

export interface ErrorFields {
  detail?: string;
  hint?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
  /** Character in the query's text, from 1. */
  position?: number;
}

/** No Error: nobody reads its stack, and planned rejections are many. */
export class SqlError {
  readonly sqlState: string;
  readonly message: string;
  readonly fields: ErrorFields;

  constructor(sqlState: string, message: string, fields: ErrorFields = {}) {
    this.sqlState = sqlState;
    this.message = message;
    this.fields = fields;
  }
}

/** Ends the session. */
export class FatalError extends SqlError {}

/** SQL this server does not know: answered with 0A000, and the run must hear of it. */
export class UnknownSqlError extends SqlError {
  readonly text: string;

  constructor(text: string, why: string) {
    const shown = text.length > 200 ? `${text.slice(0, 200)}...` : text;
    super('0A000', `the simulated PostgreSQL does not know this SQL (${why}): ${shown}`);
    this.text = text;
  }
}

export const protocolViolation = (message: string): FatalError => new FatalError('08P01', message);
export const wrongValue = (type: string, text: string): SqlError =>
  new SqlError('22P02', `invalid input syntax for type ${type}: "${text}"`);
export const terminated = (): FatalError =>
  new FatalError('57P01', 'terminating connection due to administrator command');

export const aborted = (): SqlError =>
  new SqlError('25P02', 'current transaction is aborted, commands ignored until end of transaction block');

export const noStatement = (name: string): SqlError =>
  new SqlError(
    '26000',
    name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`,
  );
