/**
 * What is wrong in a cell, underlined: as it is typed, and after it was run.
 */
import { Diagnostic, linter } from '@codemirror/lint';
import { Extension, StateEffect } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { Mistake } from '../wire';
import { Asker } from './ask';

const DELAY = 600;

/** Says that the errors of a run are known, and the text that was run. */
const failed = StateEffect.define<null>();
/** Editors whose mistake is the word that is being typed: it is underlined when the cursor goes on. */
const waiting = new WeakSet<EditorView>();
const ofRuns = new WeakMap<EditorView, { text: string; found: Mistake[] }>();

/** Underlines what is wrong. */
export function mistakes(asker: Asker): Extension {
  return linter(
    async view => {
      const text = view.state.doc.toString();
      const run = ofRuns.get(view);
      if (run && run.text !== text) {
        ofRuns.delete(view);
      }
      try {
        const found = await asker.check(text, view);
        const shown = found.length > 0 ? found : (ofRuns.get(view)?.found ?? []);
        const head = view.state.selection.main.head;
        const typed = view.hasFocus ? found.filter(each => each.end === head) : [];
        waiting[typed.length > 0 ? 'add' : 'delete'](view);
        // An answer that comes late is about another text.
        return view.state.doc.toString() === text
          ? shown.filter(each => !typed.includes(each)).map(each => diagnostic(each, text.length))
          : [];
      } catch {
        return [];
      }
    },
    {
      delay: DELAY,
      needsRefresh: update =>
        ((update.selectionSet || update.focusChanged) && waiting.has(update.view)) ||
        update.transactions.some(each => each.reconfigured || each.effects.some(effect => effect.is(failed)))
    }
  );
}

/** Underlines the place that the error of a run speaks of, until the cell is edited. */
export async function markRun(asker: Asker, view: EditorView, error: string | null): Promise<void> {
  const text = view.state.doc.toString();
  if (error === null) {
    if (ofRuns.delete(view)) {
      view.dispatch({ effects: failed.of(null) });
    }
    return;
  }
  const found = await asker.check(text, view, error);
  if (found.length > 0 && view.state.doc.toString() === text) {
    ofRuns.set(view, { text, found });
    view.dispatch({ effects: failed.of(null) });
  }
}

function diagnostic(found: Mistake, length: number): Diagnostic {
  const from = Math.min(found.start, length);
  return {
    from,
    to: Math.min(Math.max(found.end, from), length),
    severity: 'error',
    source: 'mlstore',
    message: found.message,
    renderMessage: () => {
      const node = document.createElement('div');
      node.className = 'mls-mistake';
      node.append(line('mls-mistake-message', found.message));
      if (found.hint) {
        node.append(line('mls-mistake-hint', found.hint));
      }
      return node;
    }
  };
}

function line(name: string, text: string): HTMLElement {
  const node = document.createElement('div');
  node.className = name;
  node.textContent = text;
  return node;
}
