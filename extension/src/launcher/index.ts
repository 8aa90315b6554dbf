/** The cards of the Launcher, and the form of a template. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { request } from '../api';
import { templateIcon } from '../panel/icons';
import { NewNotebook, Template, Templates } from '../wire';
import { askForParameters } from './form';

const COMMAND = 'mlstore:new-notebook';
const CATEGORY = 'mlstore';

function activate(
  app: JupyterFrontEnd,
  launcher: ILauncher | null,
  palette: ICommandPalette | null,
  browser: IDefaultFileBrowser | null
): void {
  const { commands } = app;
  const known = new Map<string, Template>();
  commands.addCommand(COMMAND, {
    label: args => known.get(args['template'] as string)?.title ?? 'New Notebook from a Template',
    caption: args => known.get(args['template'] as string)?.about ?? '',
    icon: args => (args['isPalette'] ? undefined : templateIcon),
    isVisible: args => known.has(args['template'] as string),
    execute: async args => {
      const template = known.get(args['template'] as string);
      if (!template) {
        return;
      }
      const values = await askForParameters(template);
      if (values === null) {
        return;
      }
      const folder = (args['cwd'] as string) ?? browser?.model.path ?? '';
      const answer = await request<NewNotebook>(
        'templates',
        {},
        {
          template: template.name,
          folder,
          parameters: values
        }
      );
      if (answer.problem) {
        const { message, hint } = answer.problem;
        await showErrorMessage('The notebook was not made', [message, hint].filter(Boolean).join('\n'));
        return;
      }
      return commands.execute('docmanager:open', {
        path: answer.data?.path,
        factory: 'Notebook',
        kernel: { name: app.serviceManager.kernelspecs.specs?.default ?? 'python3' }
      });
    }
  });
  void request<Templates>('templates').then(answer => {
    (answer.data?.templates ?? []).forEach((template, rank) => {
      known.set(template.name, template);
      const args = { template: template.name };
      launcher?.add({ command: COMMAND, args, category: CATEGORY, rank });
      palette?.addItem({ command: COMMAND, args: { ...args, isPalette: true }, category: CATEGORY });
    });
  });
}

export const launcher: JupyterFrontEndPlugin<unknown>[] = [
  {
    id: 'mlstore:launcher',
    description: 'Notebooks from templates.',
    autoStart: true,
    optional: [ILauncher, ICommandPalette, IDefaultFileBrowser],
    activate
  }
];
