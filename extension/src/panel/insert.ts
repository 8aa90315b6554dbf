/** Puts a cell into the notebook at hand, or into a new one. */
import { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { StoreState } from '../wire';

const LOAD = '%load_ext workbench';

/**
 * Inserts a cell below the one at hand, ready to be edited. Where no cell of the notebook loads the
 * extension, a cell that does comes before it.
 */
export async function insertCell(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  store: StoreState,
  source: string
): Promise<void> {
  const panel = tracker.currentWidget ?? (await newNotebook(app, store));
  await panel.context.ready;
  app.shell.activateById(panel.id);
  const prelude = preludeOf(panel, store);
  if (prelude) {
    put(panel, prelude);
  }
  put(panel, source);
  // The menu that this comes from gives the focus back to the panel when it closes.
  await new Promise(done => window.setTimeout(done, 50));
  panel.content.mode = 'edit';
  const editor = panel.content.activeCell?.editor;
  editor?.setCursorPosition(editor.getPositionAt(source.length) ?? { line: 0, column: 0 });
  editor?.focus();
}

/**
 * Inserts a cell below the one in whose output something stands; says whether it stands in one.
 */
export function insertBelow(tracker: INotebookTracker, place: Node, source: string): boolean {
  const panel = tracker.find(each => each.node.contains(place));
  const cells = panel?.content.widgets ?? [];
  const index = cells.findIndex(each => each.node.contains(place));
  if (!panel || index < 0) {
    return false;
  }
  panel.content.activeCellIndex = index;
  NotebookActions.insertBelow(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(source);
  panel.content.activeCell?.node.scrollIntoView({ block: 'nearest' });
  return true;
}

function put(panel: NotebookPanel, source: string): void {
  const { content } = panel;
  const here = content.activeCell?.model;
  // An empty cell is filled, as a user would.
  if (here?.type === 'code' && here.sharedModel.getSource().trim() === '') {
    here.sharedModel.setSource(source);
    return;
  }
  NotebookActions.insertBelow(content);
  content.activeCell?.model.sharedModel.setSource(source);
}

function preludeOf(panel: NotebookPanel, store: StoreState): string {
  const sources = panel.content.widgets.map(each => each.model.sharedModel.getSource());
  if (sources.some(each => each.includes('load_ext workbench'))) {
    return '';
  }
  const folder = PathExt.dirname(panel.context.localPath);
  const beside = PathExt.join(folder, 'mlstore') === store.path;
  return beside ? LOAD : `${LOAD}\n%mlstore connect '${store.folder.replace(/'/g, "\\'")}'`;
}

async function newNotebook(app: JupyterFrontEnd, store: StoreState): Promise<NotebookPanel> {
  const inside = !store.path.startsWith('/');
  const model = await app.serviceManager.contents.newUntitled({
    path: inside ? PathExt.dirname(store.path) : '',
    type: 'notebook'
  });
  const name = app.serviceManager.kernelspecs.specs?.default ?? 'python3';
  const opened: NotebookPanel = await app.commands.execute('docmanager:open', {
    path: model.path,
    factory: 'Notebook',
    kernel: { name }
  });
  return opened;
}
