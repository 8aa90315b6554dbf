/** What is running now, with a way to stop it, and the runs that are over. */
import { stopIcon } from '@jupyterlab/ui-components';
import React, { useState } from 'react';
import { RunRow, Running, Runs, StoreState } from '../wire';
import { failedIcon, okIcon } from './icons';
import { StoresModel } from './model';
import { ago, compact, lasting, ProblemBox, useAsked, useModel, useNow, Waiting } from './parts';

/** What is known of kernels. */
export interface IKernels {
  /** The name of the notebook of a kernel; null for one of another server. */
  notebook: (kernel: string) => string | null;
  interrupt: (kernel: string) => Promise<void>;
}

export function RunsView({ model, kernels }: { model: StoresModel; kernels: IKernels }): JSX.Element {
  useModel(model);
  const stores = model.stores ?? [];
  const running = stores.flatMap(store => store.running.map(each => ({ store, each })));
  const chosen = model.choice?.store;
  const shown =
    stores.find(each => each.id === chosen) ??
    stores.find(each => each.kernels.includes(model.kernel)) ??
    stores.find(each => model.isUnfolded(each.id));
  return (
    <div className="mlp-runs">
      <div aria-live="polite">
        {running.map(({ store, each }) => (
          <RunningCard
            key={each.id}
            running={each}
            store={store}
            kernels={kernels}
            several={stores.length > 1}
          />
        ))}
      </div>
      {shown && !shown.problem && <Past key={shown.id} store={shown} />}
      {!shown && running.length === 0 && <p className="mlp-empty">Nothing is running.</p>}
    </div>
  );
}

function RunningCard(props: {
  running: Running;
  store: StoreState;
  kernels: IKernels;
  several: boolean;
}): JSX.Element {
  const { running, store, kernels, several } = props;
  const now = useNow(true);
  const [stopping, setStopping] = useState(false);
  const notebook = running.kernel ? kernels.notebook(running.kernel) : null;
  const percent = running.fraction === null ? null : Math.round(100 * running.fraction);
  const where = notebook ?? `process ${running.pid} on ${running.host}`;
  return (
    <section className="mlp-run mlp-run-now" aria-label={`Running: ${running.statement}`}>
      <header>
        <code title={running.statement}>{running.statement}</code>
        <button
          className="mlp-icon-button"
          aria-label={`Cancel ${running.statement}`}
          title={notebook ? 'Interrupt its kernel' : 'It runs outside of this server: stop it there'}
          disabled={!notebook || stopping}
          onClick={() => {
            setStopping(true);
            kernels
              .interrupt(running.kernel ?? '')
              .finally(() => window.setTimeout(() => setStopping(false), 5000));
          }}
        >
          <stopIcon.react tag="span" />
        </button>
      </header>
      <div
        className={`mlp-progress${percent === null ? ' mlp-unknown' : ''}`}
        role="progressbar"
        aria-label={running.step || running.statement}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent ?? undefined}
      >
        <span style={percent === null ? {} : { width: `${percent}%` }} />
      </div>
      <div className="mlp-hint">
        <span className="mlp-label">
          {(stopping ? ['Stopping …'] : [running.step, percent === null ? '' : `${percent} %`, running.note])
            .filter(Boolean)
            .join(' · ')}
        </span>
        <span className="mlp-aside">{lasting(now / 1000 - running.started)}</span>
      </div>
      <div className="mlp-hint" title={`${where} · ${store.folder}`}>
        <span className="mlp-label">{several ? `${where} · ${store.path}` : where}</span>
      </div>
    </section>
  );
}

function Past({ store }: { store: StoreState }): JSX.Element {
  const { data, problem, retry } = useAsked<Runs>('runs', { store: store.id }, store.head);
  if (problem) {
    return <ProblemBox problem={problem} retry={retry} />;
  }
  if (!data) {
    return <Waiting />;
  }
  if (data.runs.length === 0) {
    return <p className="mlp-empty">Nothing was loaded, refreshed or trained yet in {store.path}.</p>;
  }
  return (
    <ol className="mlp-past" aria-label={`Runs of ${store.path}`}>
      {data.runs.map((each, index) => (
        <PastRun key={`${each.snapshot} ${index}`} run={each} />
      ))}
    </ol>
  );
}

function PastRun({ run }: { run: RunRow }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <li className={run.failed ? 'mlp-failed' : ''}>
      <button className="mlp-past-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span
          className={`mlp-state ${run.failed ? 'mlp-state-failed' : 'mlp-state-ok'}`}
          role="img"
          aria-label={run.failed ? 'failed' : 'ok'}
        >
          {run.failed ? <failedIcon.react tag="span" /> : <okIcon.react tag="span" />}
        </span>
        <span className="mlp-label" title={run.name}>
          {run.name}
        </span>
        <span className="mlp-aside">{run.failed || run.written === 0 ? '' : `+${compact(run.written)}`}</span>
        <span className="mlp-aside">{lasting(run.seconds)}</span>
        <time className="mlp-aside" dateTime={run.started}>
          {ago(run.started)}
        </time>
      </button>
      {run.failed && <pre className="mlp-error">{open ? run.error : run.error.split('\n')[0]}</pre>}
      {open && (
        <p className="mlp-hint">
          {[run.kind, run.mode, run.reason, `snapshot ${run.snapshot}`].filter(Boolean).join(' · ')}
        </p>
      )}
    </li>
  );
}
