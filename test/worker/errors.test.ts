import { describe, expect, it } from 'vitest';
import { connectionSurvives, errorFacts } from '../../src/worker/errors.ts';

const error = (more: object) => Object.assign(new Error('said so'), more);
const server = (errno: number, sqlState = 'HY000') => error({ code: 'ER_X', errno, sqlState });
const lost = error({ code: 'PROTOCOL_CONNECTION_LOST', fatal: true });
const reset = error({ code: 'ECONNRESET', errno: -104, syscall: 'read', fatal: true });

describe('the facts of an error', () => {
  it.each([
    [
      'PostgreSQL',
      error({ code: '23514', severity: 'ERROR' }),
      { code: null, sqlState: '23514', errno: null },
    ],
    // The name is MySQL's for the number, whatever MariaDB means by it.
    ['MariaDB', server(4025, '23000'), { code: 'ER_X', sqlState: '23000', errno: 4025 }],
    ['MySQL, before it is spoken to', server(1040, ''), { code: 'ER_X', sqlState: null, errno: 1040 }],
    ['a driver', lost, { code: 'PROTOCOL_CONNECTION_LOST', sqlState: null, errno: null }],
    ['the system', reset, { code: 'ECONNRESET', sqlState: null, errno: null }],
    ['nobody', 'text', { code: null, sqlState: null, errno: null }],
  ])('of %s', (_who, given, facts) => {
    expect(errorFacts(given)).toMatchObject(facts);
  });
});

describe('a connection', () => {
  it.each([
    [true, 'a refused statement', server(1146, '42S02')],
    [true, 'a lock timeout', server(1205)],
    [true, 'a deadlock', server(1213, '40001')],
    [true, 'KILL QUERY', server(1317, '70100')],
    [true, 'PostgreSQL’s ERROR', error({ code: '23514', severity: 'ERROR' })],
    [false, 'the server’s shutdown', server(1053, '08S01')],
    [false, 'KILL', server(1927, '70100')],
    [false, 'an idle limit of MySQL', server(4031)],
    [false, 'a fatal answer', error({ code: 'ER_X', errno: 1040, sqlState: '', fatal: true })],
    [false, 'a loss', lost],
    [false, 'a reset', reset],
    [false, 'a query timeout of the driver', error({ code: 'PROTOCOL_SEQUENCE_TIMEOUT' })],
    [false, 'PostgreSQL’s FATAL', error({ code: '57P01', severity: 'FATAL' })],
  ])('survives, %s: %s', (survives, _what, given) => {
    expect(connectionSurvives(given)).toBe(survives);
  });
});
