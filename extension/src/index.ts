/**
 * mlstore in JupyterLab and Notebook 7. Each feature has a folder, whose index lists its plugins.
 */
import { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { cells } from './cells';
import { launcher } from './launcher';
import { panel } from './panel';

const plugins: JupyterFrontEndPlugin<unknown>[] = [...cells, ...panel, ...launcher];

export default plugins;
