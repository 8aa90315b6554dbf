/** The side panel: the stores that are open, and what is in them. */
import { JupyterFrontEndPlugin } from '@jupyterlab/application';

export const panel: JupyterFrontEndPlugin<unknown>[] = [];
