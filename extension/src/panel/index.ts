/** The side panel: the stores that are open, and what is in them. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, ReactWidget } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { KernelAPI } from '@jupyterlab/services';
import { PanelWithToolbar, refreshIcon, SidePanel, ToolbarButton } from '@jupyterlab/ui-components';
import { AccordionPanel, Menu } from '@lumino/widgets';
import React from 'react';
import { request } from '../api';
import { Draft, Drafts } from '../wire';
import { ChosenDetail, ThingDetail } from './detail';
import { iconOf, storeIcon } from './icons';
import { insertBelow, insertCell } from './insert';
import { IChoice, StoresModel } from './model';
import { IKernels, RunsView } from './runs';
import { StoreTree } from './tree';

const SHOW = 'mlstore:show-panel';
const INSERT = 'mlstore:insert-cell';
const REFRESH = 'mlstore:refresh-panel';
const CATEGORY = 'mlstore';

function activate(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null
): void {
  const model = new StoresModel();
  const { commands, shell } = app;
  const follow = () => {
    model.kernel = tracker.currentWidget?.sessionContext.session?.kernel?.id ?? '';
  };
  tracker.currentChanged.connect(follow);
  tracker.widgetAdded.connect((_, notebook) => {
    notebook.sessionContext.kernelChanged.connect(follow);
  });

  const insert = (store: string, cell: string): void => {
    void commands.execute(INSERT, { store, cell });
  };
  const open = (choice: IChoice): void => {
    const id = `mlstore-thing-${choice.store}-${choice.kind}-${choice.name}`;
    const there = [...shell.widgets('main')].find(each => each.id === id);
    if (!there) {
      const content = ReactWidget.create(React.createElement(ThingDetail, { choice, model, insert }));
      content.addClass('mlp-panel');
      const widget = new MainAreaWidget({ content });
      widget.id = id;
      widget.title.label = choice.name;
      widget.title.icon = iconOf(choice.kind);
      widget.title.closable = true;
      shell.add(widget, 'main');
    }
    shell.activateById(id);
  };
  const menu = (choice: IChoice, x: number, y: number): void => {
    void draftsOf(model, choice).then(drafts => {
      const shown = new Menu({ commands });
      shown.addClass('mlp-menu');
      for (const each of drafts) {
        if (each.verb === 'drop') {
          shown.addItem({ type: 'separator' });
        }
        shown.addItem({ command: INSERT, args: { store: choice.store, cell: each.cell, title: each.title } });
      }
      shown.aboutToClose.connect(() => window.setTimeout(() => shown.dispose(), 1000));
      shown.open(x, y);
    });
  };
  const kernels: IKernels = {
    notebook: kernel => nameOf(app, kernel),
    interrupt: kernel => KernelAPI.interruptKernel(kernel, app.serviceManager.serverSettings)
  };

  const panel = new SidePanel();
  panel.id = 'mlstore-panel';
  panel.title.icon = storeIcon;
  panel.title.caption = 'mlstore';
  panel.node.setAttribute('role', 'region');
  panel.node.setAttribute('aria-label', 'mlstore');
  panel.addClass('mlp-panel');
  const stores = section('Stores', React.createElement(StoreTree, { model, actions: { menu, open } }));
  stores.toolbar.addItem(
    'refresh',
    new ToolbarButton({
      icon: refreshIcon,
      tooltip: 'Ask everything again',
      onClick: () => void commands.execute(REFRESH)
    })
  );
  panel.addWidget(stores);
  panel.addWidget(section('Details', React.createElement(ChosenDetail, { model, insert, open })));
  panel.addWidget(section('Runs', React.createElement(RunsView, { model, kernels })));
  (panel.content as AccordionPanel).setRelativeSizes([5, 4, 2]);
  shell.add(panel, 'left', { rank: 550 });
  restorer?.add(panel, panel.id);

  commands.addCommand(SHOW, {
    label: 'Show the Stores',
    icon: storeIcon,
    execute: () => shell.activateById(panel.id)
  });
  commands.addCommand(REFRESH, { label: 'Refresh the Stores', execute: () => model.refresh() });
  commands.addCommand(INSERT, {
    label: args => (args['title'] as string) ?? 'Insert a Statement',
    execute: async args => {
      const store = model.store(args['store'] as string);
      if (store) {
        await insertCell(app, tracker, store, args['cell'] as string);
      }
    }
  });
  // A widget in an output asks so for a cell; it copies its text where nobody answers.
  document.addEventListener(INSERT, event => {
    const { detail } = event as CustomEvent<{ cell: string }>;
    if (insertBelow(tracker, event.target as Node, detail.cell)) {
      event.preventDefault();
    }
  });
  for (const command of [SHOW, REFRESH]) {
    palette?.addItem({ command, category: CATEGORY });
  }
}

function section(title: string, content: JSX.Element): PanelWithToolbar {
  const made = new PanelWithToolbar();
  const widget = ReactWidget.create(content);
  widget.addClass('mlp-section');
  made.addClass('mlp-section-panel');
  made.title.label = title;
  made.addWidget(widget);
  return made;
}

async function draftsOf(model: StoresModel, choice: IChoice): Promise<Draft[]> {
  if (choice.kind === 'store') {
    return model.content(choice.store)?.tree?.drafts ?? [];
  }
  const { store, name, kind } = choice;
  const answer = await request<Drafts>('drafts', { store, name, kind });
  return answer.data?.drafts ?? [];
}

/** Names the notebook that a kernel runs for. */
function nameOf(app: JupyterFrontEnd, kernel: string): string | null {
  for (const session of app.serviceManager.sessions.running()) {
    if (session.kernel?.id === kernel) {
      return session.path;
    }
  }
  for (const each of app.serviceManager.kernels.running()) {
    if (each.id === kernel) {
      return `kernel ${each.name}`;
    }
  }
  return null;
}

export const panel: JupyterFrontEndPlugin<unknown>[] = [
  {
    id: 'mlstore:panel',
    description: 'The stores, what is in them, and what is running.',
    autoStart: true,
    requires: [INotebookTracker],
    optional: [ICommandPalette, ILayoutRestorer],
    activate
  }
];
