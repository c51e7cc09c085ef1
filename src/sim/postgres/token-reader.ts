import { UnknownSqlError } from './errors.ts';
import type { Expression } from './statement.ts';
import { type Token, tokensOf } from './tokens.ts';

/** Reads one query's tokens from left to right. */
export class TokenReader {
  readonly sql: string;
  /** The highest `$n` so far. */
  places = 0;
  /** What parameters are cast to, by number from 0. */
  readonly casts: (string | undefined)[] = [];
  #tokens: Token[];
  #at = 0;

  constructor(sql: string) {
    this.sql = sql;
    this.#tokens = tokensOf(sql);
  }

  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  get atEnd(): boolean {
    return this.next.kind === 'end';
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.#at += 1;
    return token;
  }

  #is(kind: Token['kind'], text: string): boolean {
    if (this.next.kind !== kind || this.next.text !== text) return false;
    this.#at += 1;
    return true;
  }

  /** Takes it when it is next. */
  word(text: string): boolean {
    return this.#is('word', text);
  }

  sign(text: string): boolean {
    return this.#is('sign', text);
  }

  must(text: string): void {
    if (!this.word(text) && !this.sign(text)) throw this.unknown();
  }

  anyWord(): string {
    if (this.next.kind !== 'word') throw this.unknown();
    return this.take().text;
  }

  /** An identifier; of `public.name` the name. */
  name(): string {
    const token = this.take();
    if (token.kind !== 'word' && token.kind !== 'name') throw this.unknown();
    return token.text;
  }

  tableName(): string {
    const first = this.name();
    return (first === 'public' || first === 'pg_catalog') && this.sign('.') ? this.name() : first;
  }

  /** `( one, another )` */
  list<T>(one: () => T): T[] {
    this.must('(');
    const all = [one()];
    while (this.sign(',')) all.push(one());
    this.must(')');
    return all;
  }

  skipStatement(): void {
    while (!this.atEnd && !(this.next.kind === 'sign' && this.next.text === ';')) this.take();
  }

  expression(): Expression {
    const value = this.#value();
    if (!this.sign('::')) return value;
    const type = this.anyWord();
    if (value.kind === 'place') {
      this.casts[value.n] = type;
      return { ...value, cast: type };
    }
    const cast = { text: 'text', varchar: 'text', int: 'int4', integer: 'int4', int4: 'int4', bool: 'bool' }[
      type
    ];
    if (value.kind !== 'text' || !cast) throw this.unknown();
    return { ...value, type: cast as 'text' | 'int4' | 'bool', cast: true };
  }

  #value(): Expression {
    if (this.sign('-')) {
      const number = this.take();
      if (number.kind !== 'number') throw this.unknown();
      return numeric(`-${number.text}`);
    }
    const token = this.take();
    if (token.kind === 'place') {
      this.places = Math.max(this.places, Number(token.text));
      return { kind: 'place', n: Number(token.text) - 1 };
    }
    if (token.kind === 'number') return numeric(token.text);
    if (token.kind === 'string') return { kind: 'text', text: token.text, type: 'unknown' };
    if (token.kind !== 'word') throw this.unknown();
    if (token.text === 'true' || token.text === 'false')
      return { kind: 'text', text: token.text === 'true' ? 't' : 'f', type: 'bool' };
    if (token.text === 'null') return { kind: 'text', text: null, type: 'unknown' };
    if (token.text === 'default') return { kind: 'default' };
    throw this.unknown();
  }

  unknown(): UnknownSqlError {
    const token = this.next;
    return new UnknownSqlError(this.sql, token.kind === 'end' ? 'its end' : `at or near "${token.text}"`);
  }
}

const numeric = (text: string): Expression => ({
  kind: 'text',
  text,
  type: text.includes('.') ? 'numeric' : 'int4',
});
