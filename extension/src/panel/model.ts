/**
 * What the panel knows: the stores there are, what is in those that are unfolded, and what is chosen.
 *
 * The server is asked every second how the stores stand, which costs it a millisecond for each. What
 * is shown of a store is asked for again when its newest snapshot is another one.
 */
import { ServerConnection } from '@jupyterlab/services';
import { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';
import { request } from '../api';
import { Answer, Item, Problem, Stores, StoreState, Tree } from '../wire';

/** A thing in a store. */
export interface IChoice {
  store: string;
  name: string;
  kind: string;
}

/** What is in a store, as far as it was told, and why not more. */
export interface IContent {
  head: number | null;
  tree: Tree | null;
  problem: Problem | null;
}

const PERIOD = 1000;
const LONGEST = 10 * PERIOD;
/** How often a store may not answer before that is told: where much is running, one look takes long. */
const MISSES = 3;

export class StoresModel implements IDisposable {
  constructor() {
    this._poll = new Poll({
      name: 'mlstore:stores',
      factory: () => this._look(),
      frequency: { interval: PERIOD, backoff: true, max: LONGEST },
      standby: 'when-hidden'
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Null until the server has answered for the first time. */
  get stores(): StoreState[] | null {
    return this._stores;
  }

  /** Whether the server answers. */
  get lost(): string {
    return this._lost;
  }

  get choice(): IChoice | null {
    return this._choice;
  }

  set choice(choice: IChoice | null) {
    this._choice = choice;
    this._changed.emit();
  }

  /** The kernel of the notebook at hand. */
  get kernel(): string {
    return this._kernel;
  }

  set kernel(kernel: string) {
    if (kernel !== this._kernel) {
      this._kernel = kernel;
      this._changed.emit();
    }
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  store(id: string): StoreState | null {
    return this._stores?.find(each => each.id === id) ?? null;
  }

  content(id: string): IContent | null {
    return this._contents.get(id) ?? null;
  }

  item(choice: IChoice): Item | null {
    const items = this.content(choice.store)?.tree?.items ?? [];
    return items.find(each => each.name === choice.name && each.kind === choice.kind) ?? null;
  }

  isUnfolded(id: string): boolean {
    return this._unfolded.get(id) ?? false;
  }

  unfold(id: string, open: boolean): void {
    this._unfolded.set(id, open);
    this._changed.emit();
    void this._read(id);
  }

  /** Asks everything again. */
  async refresh(): Promise<void> {
    this._contents.clear();
    await this._poll.refresh();
    await this._poll.tick;
  }

  private async _look(): Promise<void> {
    let answer: Answer<Stores>;
    try {
      answer = await request<Stores>('stores');
    } catch (error) {
      this._told = '';
      this._lost =
        error instanceof ServerConnection.NetworkError
          ? 'The Jupyter server does not answer.'
          : `The server extension of mlstore does not answer: ${(error as Error).message}`;
      this._changed.emit();
      throw error; // lets the poll wait longer
    }
    const stores = (answer.data?.stores ?? []).map(each => this._patiently(each));
    const told = JSON.stringify(stores);
    const first = this._stores === null;
    this._stores = stores;
    this._lost = '';
    if (first && stores.length === 1) {
      this._unfolded.set(stores[0].id, true);
    }
    for (const each of stores) {
      // What a notebook here has open is unfolded until the user folds it.
      if (each.kernels.includes(this._kernel) && !this._unfolded.has(each.id)) {
        this._unfolded.set(each.id, true);
      }
    }
    if (told !== this._told) {
      this._told = told;
      this._changed.emit();
    }
    for (const each of stores) {
      void this._read(each.id);
    }
  }

  /** Leaves a store as it was known while it does not answer for a moment. */
  private _patiently(store: StoreState): StoreState {
    const missed = store.problem?.retryable ? (this._missed.get(store.id) ?? 0) + 1 : 0;
    this._missed.set(store.id, missed);
    const known = this.store(store.id);
    return known && !known.problem && missed > 0 && missed < MISSES
      ? { ...known, kernels: store.kernels }
      : store;
  }

  private async _read(id: string): Promise<void> {
    const store = this.store(id);
    const known = this._contents.get(id);
    const settled = known && known.head === store?.head && !known.problem?.retryable;
    if (!store || !this.isUnfolded(id) || store.problem || settled || this._asked.has(id)) {
      return;
    }
    this._asked.add(id);
    try {
      const answer = await request<Tree>('tree', { store: id });
      const tree = answer.data ?? known?.tree ?? null;
      this._contents.set(id, { head: answer.data?.head ?? store.head, tree, problem: answer.problem });
      this._changed.emit();
    } catch {
      // The poll tells when the server is lost.
    } finally {
      this._asked.delete(id);
    }
  }

  private _poll: Poll;
  private _changed = new Signal<this, void>(this);
  private _stores: StoreState[] | null = null;
  private _told = '';
  private _lost = '';
  private _choice: IChoice | null = null;
  private _kernel = '';
  private _contents = new Map<string, IContent>();
  private _unfolded = new Map<string, boolean>();
  private _asked = new Set<string>();
  private _missed = new Map<string, number>();
}
