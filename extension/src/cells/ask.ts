/**
 * Asks the server about the text of a cell. It answers beside the kernel, which may be busy.
 */
import { EditorView } from '@codemirror/view';
import { NotebookPanel } from '@jupyterlab/notebook';
import { request } from '../api';
import { About, Completion, Mistake } from '../wire';

/** Which store a cell speaks to: that of its kernel, else the one beside its notebook. */
export interface IWhere {
  kernel: string;
  path: string;
}

/** A problem instead of an answer. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly hint: string
  ) {
    super(message);
  }
}

/** Asks; `find` tells in which notebook an editor is. */
export class Asker {
  constructor(private find: (view: EditorView) => NotebookPanel | null) {}

  async check(cell: string, view: EditorView, error = ''): Promise<Mistake[]> {
    const found = await this.ask<Mistake[]>('check', { cell, error, ...this.where(view) });
    return found.map(each => inUnits(cell, each));
  }

  async complete(cell: string, cursor: number, where: IWhere): Promise<Completion[]> {
    const found = await this.ask<Completion[]>('complete', { cell, cursor: points(cell, cursor), ...where });
    return found.map(each => inUnits(cell, each));
  }

  async about(cell: string, offset: number, view: EditorView): Promise<About | null> {
    const found = await this.ask<About | null>('about', {
      cell,
      offset: points(cell, offset),
      ...this.where(view)
    });
    return found && inUnits(cell, found);
  }

  /** Lets the server read what the next question of a notebook needs; nobody waits for it. */
  prepare(where: IWhere): void {
    // To check a text makes the server read the store too.
    this.ask<Mistake[]>('check', { cell: '', ...where }).catch(() => undefined);
  }

  format(cell: string): Promise<string> {
    return this.ask<string>('format', { cell });
  }

  /** Tells where the statements of an editor are run. */
  where(view: EditorView): IWhere {
    return whereOf(this.find(view));
  }

  private async ask<T>(question: string, body: object): Promise<T> {
    const answer = await request<T>(`cells/${question}`, {}, body);
    if (answer.problem) {
      throw new Refusal(answer.problem.message, answer.problem.hint);
    }
    return answer.data as T;
  }
}

/** Tells where the statements of a notebook are run. */
export function whereOf(panel: NotebookPanel | null): IWhere {
  const session = panel?.sessionContext.session;
  return { kernel: session?.kernel?.id ?? '', path: panel?.context.localPath ?? '' };
}

// Python counts characters; JavaScript counts units of 16 bits.
function points(text: string, units: number): number {
  return Array.from(text.slice(0, units)).length;
}

function units(text: string, count: number): number {
  return Array.from(text).slice(0, count).join('').length;
}

function inUnits<T extends { start: number; end: number }>(text: string, found: T): T {
  const plain = !/[\ud800-\udfff]/.test(text);
  return plain ? found : { ...found, start: units(text, found.start), end: units(text, found.end) };
}
