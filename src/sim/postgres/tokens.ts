import { UnknownSqlError } from './errors.ts';

export type TokenKind = 'word' | 'name' | 'number' | 'string' | 'place' | 'sign' | 'end';

export interface Token {
  kind: TokenKind;
  /** Words in lower case, names and strings without their quotes, of a place its number. */
  text: string;
  /** Where it stands in the SQL. */
  at: number;
}

const isLetter = (c: string): boolean =>
  (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c === '_' || c > '\x7f';
const isDigit = (c: string): boolean => c >= '0' && c <= '9';
const isSpace = (c: string): boolean => c === ' ' || (c >= '\t' && c <= '\r');
const isWordPart = (c: string): boolean => isLetter(c) || isDigit(c) || c === '$';
const isNumberPart = (c: string): boolean => isDigit(c) || c === '.';

/** Cuts SQL into tokens, comments left out. */
export function tokensOf(sql: string): Token[] {
  const cutter = new Cutter(sql);
  const tokens: Token[] = [];
  for (let token = cutter.next(); ; token = cutter.next()) {
    tokens.push(token);
    if (token.kind === 'end') return tokens;
  }
}

class Cutter {
  #sql: string;
  #at = 0;

  constructor(sql: string) {
    this.#sql = sql;
  }

  next(): Token {
    this.#skip();
    const at = this.#at;
    if (at >= this.#sql.length) return { kind: 'end', text: '', at };
    const [kind, text] = this.#cut();
    return { kind, text, at };
  }

  #cut(): [TokenKind, string] {
    const c = this.#char(0);
    const next = this.#char(1);
    if (c === "'") return ['string', this.#quoted(c)];
    if (c === '"') return ['name', this.#quoted(c)];
    if ((c === 'e' || c === 'E') && next === "'") return ['string', this.#escaped()];
    if (isLetter(c)) return ['word', this.#while(isWordPart).toLowerCase()];
    if (isDigit(c) || (c === '.' && isDigit(next))) return ['number', this.#while(isNumberPart)];
    if (c === '$' && isDigit(next)) {
      this.#at += 1;
      return ['place', this.#while(isDigit)];
    }
    const sign = c === ':' && next === ':' ? '::' : c;
    this.#at += sign.length;
    return ['sign', sign];
  }

  #char(ahead: number): string {
    return this.#sql[this.#at + ahead] ?? '';
  }

  #while(test: (c: string) => boolean): string {
    const from = this.#at;
    while (this.#at < this.#sql.length && test(this.#char(0))) this.#at += 1;
    return this.#sql.slice(from, this.#at);
  }

  /** White space and comments. */
  #skip(): void {
    for (;;) {
      this.#while(isSpace);
      if (this.#sql.startsWith('--', this.#at)) this.#while(c => c !== '\n');
      else if (this.#sql.startsWith('/*', this.#at)) this.#skipComment();
      else return;
    }
  }

  #skipComment(): void {
    const end = this.#sql.indexOf('*/', this.#at);
    if (end < 0) throw new UnknownSqlError(this.#sql, 'a comment without its end');
    this.#at = end + 2;
  }

  /** A mark twice stands for itself. */
  #quoted(mark: string): string {
    let text = '';
    for (;;) {
      const end = this.#sql.indexOf(mark, this.#at + 1);
      if (end < 0) throw new UnknownSqlError(this.#sql, `a ${mark} without its end`);
      text += this.#sql.slice(this.#at + 1, end);
      this.#at = end + 1;
      if (this.#char(0) !== mark) return text;
      text += mark;
    }
  }

  #escaped(): string {
    this.#at += 1;
    const text = this.#quoted("'");
    if (text.includes('\\')) throw new UnknownSqlError(this.#sql, 'a string with backslashes');
    return text;
  }
}
