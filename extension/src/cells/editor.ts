/**
 * What an editor with statements has: their language, the names of functions, what is wrong, and what a
 * word means. It is switched on while there is a statement in the cell, and takes nothing from other cells.
 */
import { syntaxTree } from '@codemirror/language';
import { Compartment, EditorState, Extension, Prec, Range } from '@codemirror/state';
import { Decoration, DecorationSet, EditorView, ViewPlugin, ViewUpdate } from '@codemirror/view';
import { Asker } from './ask';
import { explanations } from './hover';
import { statementLanguage } from './language';
import { mistakes } from './mistakes';
import { hasStatement } from './scan';
import { FUNCTIONS } from './words';

const own = new Set(FUNCTIONS);
const calledMark = Decoration.mark({ class: 'mls-function' });
const ownMark = Decoration.mark({ class: 'mls-function mls-own' });

/** Marks the names that are called in SQL: a column may have the name of a function. */
const calls = ViewPlugin.fromClass(
  class {
    marks: DecorationSet;

    constructor(view: EditorView) {
      this.marks = called(view);
    }

    update(update: ViewUpdate): void {
      if (
        update.docChanged ||
        update.viewportChanged ||
        syntaxTree(update.startState) !== syntaxTree(update.state)
      ) {
        this.marks = called(update.view);
      }
    }
  },
  { decorations: plugin => plugin.marks }
);

function called(view: EditorView): DecorationSet {
  const found: Range<Decoration>[] = [];
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(view.state).iterate({
      from,
      to,
      enter: node => {
        if (
          /^(Identifier|Keyword|Type)$/.test(node.name) &&
          view.state.sliceDoc(node.to, node.to + 1) === '('
        ) {
          const name = view.state.sliceDoc(node.from, node.to).toLowerCase();
          if (node.name === 'Identifier') {
            found.push((own.has(name) ? ownMark : calledMark).range(node.from, node.to));
          }
        }
      }
    });
  }
  return Decoration.set(found, true);
}

/** Makes the extension for editors. */
export function statementEditing(asker: Asker): Extension {
  const slot = new Compartment();
  const on: Extension = [statementLanguage.extension, calls, mistakes(asker), explanations(asker)];
  return [
    Prec.highest(slot.of([])),
    EditorState.transactionExtender.of(transaction => {
      if (!transaction.docChanged) {
        return null;
      }
      const want = hasStatement(transaction.newDoc.toString());
      const have = (slot.get(transaction.startState) as Extension[] | undefined)?.length;
      return want === !!have ? null : { effects: slot.reconfigure(want ? on : []) };
    }),
    // A cell that already holds a statement gets its text before this is asked of any transaction.
    ViewPlugin.define(view => {
      if (hasStatement(view.state.doc.toString())) {
        queueMicrotask(() => view.dispatch({ effects: slot.reconfigure(on) }));
      }
      return {};
    })
  ];
}
