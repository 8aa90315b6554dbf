/** Statements in cells: highlighting, completion, mistakes, what a word means, layout of SQL. */
import { EditorView } from '@codemirror/view';
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { CodeCell } from '@jupyterlab/cells';
import {
  CodeMirrorEditor,
  EditorExtensionRegistry,
  IEditorExtensionFactory,
  IEditorExtensionRegistry
} from '@jupyterlab/codemirror';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import { Asker, Refusal, whereOf } from './ask';
import { keepOut, StatementCompletions } from './completion';
import { statementEditing } from './editor';
import { markRun } from './mistakes';
import { hasStatement } from './scan';

const FORMAT = 'mlstore:format-sql';
const IAsker = new Token<Asker>('mlstore:IAsker', 'Asks the server about the text of a cell.');

const asking: JupyterFrontEndPlugin<Asker> = {
  id: 'mlstore:ask',
  description: 'Asks the server about the text of a cell.',
  provides: IAsker,
  optional: [INotebookTracker],
  activate: (_app: JupyterFrontEnd, tracker: INotebookTracker | null) => {
    const asker = new Asker(view => tracker?.find(panel => panel.node.contains(view.dom)) ?? null);
    // What the first completion would wait for is read while the notebook opens.
    tracker?.widgetAdded.connect((_tracker, panel) => {
      void panel.sessionContext.ready.then(() => asker.prepare(whereOf(panel)));
    });
    return asker;
  }
};

const editing: JupyterFrontEndPlugin<void> = {
  id: 'mlstore:editing',
  description: 'Highlights statements, underlines what is wrong in them, and says what their words mean.',
  autoStart: true,
  requires: [IAsker, IEditorExtensionRegistry],
  activate: (_app: JupyterFrontEnd, asker: Asker, registry: IEditorExtensionRegistry) => {
    const extension = statementEditing(asker);
    registry.addExtension(
      Object.freeze({
        name: 'mlstore:statements',
        factory: (options: IEditorExtensionFactory.IOptions) =>
          /markdown|gfm/.test(options.model.mimeType)
            ? null
            : EditorExtensionRegistry.createImmutableExtension(extension)
      })
    );
  }
};

const completing: JupyterFrontEndPlugin<void> = {
  id: 'mlstore:completing',
  description: 'Completes statements.',
  autoStart: true,
  requires: [IAsker, ICompletionProviderManager],
  activate: (app: JupyterFrontEnd, asker: Asker, manager: ICompletionProviderManager) => {
    manager.registerProvider(new StatementCompletions(asker, manager));
    void app.restored.then(() => keepOut(manager));
  }
};

const running: JupyterFrontEndPlugin<void> = {
  id: 'mlstore:running',
  description: 'Underlines the place that the error of a run speaks of.',
  autoStart: true,
  requires: [IAsker],
  activate: (_app: JupyterFrontEnd, asker: Asker) => {
    NotebookActions.executed.connect((_sender, { cell, success }) => {
      const view = viewOf(cell);
      if (cell instanceof CodeCell && view && hasStatement(cell.model.sharedModel.getSource())) {
        markRun(asker, view, success ? null : errorOf(cell)).catch(console.warn);
        asker.prepare(asker.where(view)); // what it made is completed next
      }
    });
  }
};

const formatting: JupyterFrontEndPlugin<void> = {
  id: 'mlstore:formatting',
  description: 'Lays out the SQL of a cell.',
  autoStart: true,
  requires: [IAsker, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    asker: Asker,
    tracker: INotebookTracker,
    palette: ICommandPalette | null
  ) => {
    const text = (): string => tracker.activeCell?.model.sharedModel.getSource() ?? '';
    app.commands.addCommand(FORMAT, {
      label: 'Format SQL of the Cell',
      caption: 'Lay out the SQL of this statement; what it says stays the same',
      isEnabled: () => tracker.activeCell instanceof CodeCell && hasStatement(text()),
      isVisible: () => tracker.activeCell instanceof CodeCell && hasStatement(text()),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        const view = viewOf(tracker.activeCell);
        const before = text();
        try {
          const after = await asker.format(before);
          if (view && after !== before && view.state.doc.toString() === before) {
            replace(view, after);
          }
        } catch (error) {
          const hint = error instanceof Refusal ? ` ${error.hint}` : '';
          Notification.warning(`${(error as Error).message}${hint}`, { autoClose: 6000 });
        }
      }
    });
    app.commands.addKeyBinding({ command: FORMAT, keys: ['Alt Shift F'], selector: '.jp-Notebook' });
    palette?.addItem({ command: FORMAT, category: 'mlstore' });
    app.contextMenu.addItem({ command: FORMAT, selector: '.jp-Notebook .jp-CodeCell', rank: 9 });
  }
};

/** Puts a text in place of another, as one step that can be undone, the cursor on its line. */
function replace(view: EditorView, text: string): void {
  const { doc, selection } = view.state;
  const line = doc.lineAt(selection.main.head).number;
  view.dispatch({ changes: { from: 0, to: doc.length, insert: text } });
  const now = view.state.doc;
  view.dispatch({ selection: { anchor: now.line(Math.min(line, now.lines)).to }, scrollIntoView: true });
}

function viewOf(cell: { editor?: unknown } | null): EditorView | null {
  return cell?.editor instanceof CodeMirrorEditor ? cell.editor.editor : null;
}

/** Returns the text of the error that a cell ended with. */
function errorOf(cell: CodeCell): string | null {
  const { outputs } = cell.model;
  for (let index = outputs.length - 1; index >= 0; index--) {
    const output = outputs.get(index);
    if (output.type === 'error') {
      return String((output.toJSON() as { evalue?: string }).evalue ?? '');
    }
  }
  return null;
}

export const cells: JupyterFrontEndPlugin<unknown>[] = [asking, editing, completing, running, formatting];
