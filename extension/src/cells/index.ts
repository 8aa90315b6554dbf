/** Statements in cells: highlighting, completion, mistakes, formatting. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

export const cells: JupyterFrontEndPlugin<unknown>[] = [
  {
    id: 'mlstore:cells',
    description: 'Statements in cells.',
    autoStart: true,
    activate: (_app: JupyterFrontEnd) => undefined
  }
];
