/** The cards of the Launcher, and the form of a template. */
import { JupyterFrontEndPlugin } from '@jupyterlab/application';

export const launcher: JupyterFrontEndPlugin<unknown>[] = [];
