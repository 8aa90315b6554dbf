/**
 * Finds the statements in a cell and cuts their headers into words: enough to colour them while they are
 * typed. What is right or wrong, and what can stand where, the server says.
 */
import { NOTEBOOK_WORDS, SQL_SHAPES, VALUES, VERBS } from './words';

/** What a stretch of a header is. */
export type Kind =
  | 'Magic'
  | 'Verb'
  | 'Clause'
  | 'Value'
  | 'Option'
  | 'Name'
  | 'Quoted'
  | 'Text'
  | 'Number'
  | 'Variable'
  | 'Version'
  | 'Operator'
  | 'Comment'
  | 'Sql'
  | 'Python';

export interface IStretch {
  kind: Kind;
  from: number;
  to: number;
}

/** A magic in a cell, and what is after it. */
export interface IStatement {
  from: number;
  to: number;
  stretches: IStretch[];
}

const CELL = /^\s*(?=%%mlstore(?:\s|$))/;
const LINE = /^[ \t]*(?:[A-Za-z_]\w*[ \t]*=[ \t]*)?(?=%mlstore(?:\s|$))/gm;
const MAGIC = /^%%?mlstore/;
const PIECE = new RegExp(
  [
    String.raw`(?<Option>--(?=[A-Za-z])[\w-]*)`,
    String.raw`(?<Comment>--[^\n]*|/\*[^]*?(?:\*/|$))`,
    String.raw`(?<Text>[eE]?'(?:[^']|'')*(?:'|$)|\$(\w*)\$[^]*?(?:\$\6\$|$))`,
    String.raw`(?<Quoted>"(?:[^"]|"")*(?:"|$))`,
    String.raw`(?<Version>@\w+)`,
    String.raw`(?<Variable>\$[\p{L}_]\w*)`,
    String.raw`(?<Word>[\p{L}_][\p{L}\p{N}_$]*)`,
    String.raw`(?<Number>\d[\w.]*%?)`,
    String.raw`(?<Open>[([{])`,
    String.raw`(?<Close>[)\]}])`,
    String.raw`(?<Operator>[<>=!+\-*/]+)`,
    String.raw`(?<Space>\s+)`,
    String.raw`(?<Other>[^])`
  ]
    .join('|')
    .replace(String.raw`\6`, String.raw`\4`),
  'uy'
);
const values = new Set(VALUES);

/** Tells whether a cell is one statement, from its first line on. */
export function isCell(text: string): boolean {
  return CELL.test(text);
}

/** Tells whether there is a statement in a cell. */
export function hasStatement(text: string): boolean {
  return isCell(text) || text.search(LINE) >= 0;
}

/** Lists the statements of a cell. */
export function statements(text: string): IStatement[] {
  const cell = CELL.exec(text);
  if (cell) {
    return [statement(text, cell[0].length, text.length)];
  }
  return [...text.matchAll(LINE)].map(match => {
    const from = match.index + match[0].length;
    const end = text.indexOf('\n', from);
    return statement(text, from, end < 0 ? text.length : end);
  });
}

function statement(text: string, from: number, to: number): IStatement {
  const magic = MAGIC.exec(text.slice(from, to))!;
  const start = from + magic[0].length;
  const stretches: IStretch[] = [{ kind: 'Magic', from, to: start }];
  const header = new Header(text, start, to);
  header.read();
  return { from, to, stretches: [...stretches, ...header.stretches] };
}

/** Reads a header word by word, up to the body. */
class Header {
  readonly stretches: IStretch[] = [];
  private position: number;
  private depth = 0;
  private python = false;

  constructor(
    private text: string,
    from: number,
    private to: number
  ) {
    this.position = from;
  }

  read(): void {
    const line = this.text.slice(this.position, this.to).split('\n', 1)[0];
    const empty = !line.replace(/--\S+|--.*$/g, '').trim();
    const stop = empty ? Math.min(this.position + line.length + 1, this.to) : this.to;
    let verb: string | null = null;
    while (this.position < stop) {
      const { kind, from, to } = this.piece();
      const word = this.text.slice(from, to).toLowerCase();
      this.position = to;
      if (kind !== 'Word') {
        this.add(kind, from, to);
        if (verb === 'export' && kind === 'Open' && this.depth === 1) {
          this.query();
        }
      } else if (verb === null) {
        if (this.isSql(word, to)) {
          this.position = from;
          return this.body();
        }
        verb = word;
        this.push('Verb', from, to);
      } else if (this.isAs(word, verb, to)) {
        this.push('Clause', from, to);
        return this.body();
      } else {
        this.word(verb, word, from, to);
      }
    }
    if (empty) {
      this.body();
    }
  }

  private piece(): { kind: string; from: number; to: number } {
    PIECE.lastIndex = this.position;
    const match = PIECE.exec(this.text.slice(0, this.to))!;
    const kind = Object.entries(match.groups!).find(([, value]) => value !== undefined)![0];
    return { kind, from: this.position, to: this.position + match[0].length };
  }

  private isSql(word: string, end: number): boolean {
    if ((NOTEBOOK_WORDS as string[]).includes(word)) {
      return false;
    }
    const shape = (SQL_SHAPES as Record<string, string>)[word];
    const isShaped = shape && new RegExp(`^(?:${shape})`, 'i').test(this.text.slice(end, this.to));
    return !(word in VERBS) || !!isShaped;
  }

  private isAs(word: string, verb: string, end: number): boolean {
    const known = (VERBS as Record<string, { body: boolean }>)[verb];
    return (
      word === 'as' && !!known?.body && (this.depth <= 0 || /^[ \t\r]*\n/.test(this.text.slice(end, this.to)))
    );
  }

  private word(verb: string, word: string, from: number, to: number): void {
    const known = (VERBS as unknown as Record<string, { clauses: string[] }>)[verb]?.clauses ?? [];
    const clause = this.depth > 0 ? null : this.clause(known, from);
    if (clause) {
      this.push('Clause', from, clause);
      this.position = clause;
      return;
    }
    const called = this.text[to] === '(' && values.has(word);
    const isValue = values.has(word) && (this.depth === 0 || called || word === 'log');
    this.python ||= isValue && (word === 'python' || word === 'ibis');
    this.push(isValue ? 'Value' : 'Name', from, to);
  }

  /** Finds a clause at a place, of one word or two, and returns where it ends. */
  private clause(known: string[], from: number): number | null {
    const rest = this.text.slice(from, this.to);
    for (const clause of [...known].sort((a, b) => b.length - a.length)) {
      const match = new RegExp(`^${clause.replace(/ /g, '\\s+')}(?![\\w])`, 'i').exec(rest);
      if (match) {
        return from + match[0].length;
      }
    }
    return null;
  }

  /** Passes a query in parentheses by. */
  private query(): void {
    const from = this.position;
    while (this.position < this.to && this.depth > 0) {
      const { kind, from: at, to } = this.piece();
      if (kind === 'Close' && this.depth === 1) {
        break;
      }
      this.depth += kind === 'Open' ? 1 : kind === 'Close' ? -1 : 0;
      this.position = kind === 'Option' ? this.lineEnd(at) : to;
    }
    this.push('Sql', from, this.position);
  }

  private body(): void {
    this.push(this.python ? 'Python' : 'Sql', this.position, this.to);
    this.position = this.to;
  }

  private lineEnd(from: number): number {
    const end = this.text.indexOf('\n', from);
    return end < 0 || end > this.to ? this.to : end;
  }

  private add(kind: string, from: number, to: number): void {
    this.depth += kind === 'Open' ? 1 : kind === 'Close' ? -1 : 0;
    if (!['Space', 'Open', 'Close', 'Other'].includes(kind)) {
      this.push(kind as Kind, from, to);
    }
  }

  private push(kind: Kind, from: number, to: number): void {
    if (to > from) {
      this.stretches.push({ kind, from, to });
    }
  }
}
