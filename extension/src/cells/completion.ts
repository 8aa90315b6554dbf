/**
 * Completion in statements, from the server, so that it works while the kernel is busy.
 */
import {
  CompleterModel,
  CompletionHandler,
  CompletionProviderManager,
  ICompletionContext,
  ICompletionProvider,
  ICompletionProviderManager
} from '@jupyterlab/completer';
import { NotebookPanel } from '@jupyterlab/notebook';
import { Completion } from '../wire';
import { Asker, whereOf } from './ask';
import { iconOf } from './icons';
import { statements } from './scan';

/** How long JupyterLab waits for an answer, unless its settings say otherwise; what comes later it drops. */
const PATIENCE = 1000;

/** The providers that know nothing of statements: the kernel's answer would be the same, but later. */
const OTHERS = ['CompletionProvider:kernel', 'CompletionProvider:context'];

/** Tells whether the cursor of an editor is in a statement. */
function inStatement(context: ICompletionContext): boolean {
  const editor = context.editor;
  if (!editor) {
    return false;
  }
  const cursor = editor.getOffsetAt(editor.getCursorPosition());
  return statements(editor.model.sharedModel.getSource()).some(
    each => each.from <= cursor && cursor <= each.to
  );
}

/** An item with its place in the server's order: the likeliest first. */
type Ordered = CompletionHandler.ICompletionItem & { order?: number };

/** Keeps the server's order, where JupyterLab sorts by the alphabet; other items it leaves as they are. */
class OrderedModel extends CompleterModel {
  completionItems(): CompletionHandler.ICompletionItems {
    const found: readonly Ordered[] = super.completionItems();
    return found.every(each => each.order !== undefined)
      ? [...found].sort((a, b) => a.order! - b.order!)
      : found;
  }
}

export class StatementCompletions implements ICompletionProvider {
  readonly identifier = 'CompletionProvider:mlstore';
  readonly rank = 1100;

  constructor(
    private asker: Asker,
    private manager: ICompletionProviderManager
  ) {}

  async modelFactory(): Promise<CompleterModel> {
    return new OrderedModel();
  }

  async isApplicable(context: ICompletionContext): Promise<boolean> {
    return inStatement(context);
  }

  async fetch(
    request: CompletionHandler.IRequest,
    context: ICompletionContext
  ): Promise<CompletionHandler.ICompletionItemsReply> {
    const { text, offset } = request;
    const panel = context.widget instanceof NotebookPanel ? context.widget : null;
    const found = await this.answer(text, offset, panel, context);
    return { start: found[0]?.start ?? offset, end: found[0]?.end ?? offset, items: found.map(item) };
  }

  /** Asks, and offers an answer that came too late once more, if it is still wanted. */
  private async answer(
    text: string,
    offset: number,
    panel: NotebookPanel | null,
    context: ICompletionContext
  ): Promise<Completion[]> {
    const { late } = this;
    this.late = null;
    if (late?.text === text && late.offset === offset) {
      return late.found;
    }
    const begun = Date.now();
    const found = await this.asker.complete(text, offset, whereOf(panel));
    const { editor } = context;
    if (
      Date.now() - begun >= PATIENCE &&
      found.length > 0 &&
      panel &&
      editor?.hasFocus() &&
      editor.model.sharedModel.getSource() === text &&
      editor.getOffsetAt(editor.getCursorPosition()) === offset
    ) {
      this.late = { text, offset, found };
      this.manager.invoke(panel.id);
    }
    return found;
  }

  private late: { text: string; offset: number; found: Completion[] } | null = null;
}

function item(found: Completion, order: number): Ordered {
  return {
    order,
    label: found.text,
    type: found.kind === 'column' ? found.detail : found.kind,
    icon: iconOf(found.kind),
    documentation: found.help || undefined
  };
}

/** Keeps the other providers out of statements, where each name would stand twice and the kernel be waited for. */
export function keepOut(manager: ICompletionProviderManager): void {
  // Not of the interface, but of the only class that has it.
  const providers = (manager as CompletionProviderManager).getProviders?.();
  for (const name of OTHERS) {
    const provider = providers?.get(name);
    if (provider) {
      const applies = provider.isApplicable.bind(provider);
      provider.isApplicable = async context => !inStatement(context) && applies(context);
    }
  }
}
