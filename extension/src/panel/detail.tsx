/** What is to be said of the thing that is chosen: facts, rows, profile, history, lineage. */
import React, { useState } from 'react';
import { ColumnProfile, Detail, Graph, History, Item, Page, Profile } from '../wire';
import { LineageGraph } from './graph';
import { iconOf } from './icons';
import { IChoice, StoresModel } from './model';
import { ago, Badges, compact, ProblemBox, useAsked, useModel, Waiting } from './parts';

const TABS = ['About', 'Rows', 'Profile', 'History', 'Lineage'];
const PAGE = 50;

interface IView {
  choice: IChoice;
  model: StoresModel;
  head: number | null;
  insert: (cell: string) => void;
}

/** The section of the panel: shows what is chosen in the tree. */
export function ChosenDetail(props: {
  model: StoresModel;
  insert: (store: string, cell: string) => void;
  open: (choice: IChoice) => void;
}): JSX.Element {
  useModel(props.model);
  const { choice } = props.model;
  if (!choice) {
    return <p className="mlp-empty">Choose something above to see what it is.</p>;
  }
  return <ThingDetail key={JSON.stringify(choice)} {...props} choice={choice} />;
}

/** All that is to be said of one thing. */
export function ThingDetail(props: {
  choice: IChoice;
  model: StoresModel;
  insert: (store: string, cell: string) => void;
  open?: (choice: IChoice) => void;
}): JSX.Element {
  const { choice, model, open } = props;
  useModel(model);
  const [tab, setTab] = useState(TABS[0]);
  const store = model.store(choice.store);
  const item = model.item(choice);
  const tabs = choice.kind === 'model' ? TABS.filter(each => each !== 'Rows' && each !== 'Profile') : TABS;
  const Icon = iconOf(choice.kind);
  const view: IView = {
    choice,
    model,
    head: store?.head ?? null,
    insert: cell => props.insert(choice.store, cell)
  };
  const problem =
    store?.problem ??
    (model.stores && !store
      ? { code: 'gone', message: 'This store is not there any more.', hint: '', retryable: false }
      : null);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      setTab(next);
      event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
    }
  };
  return (
    <div className="mlp-detail" aria-label={`${choice.kind} ${choice.name}`} role="region">
      <header className="mlp-detail-head">
        <Icon.react tag="span" aria-hidden />
        <strong title={choice.name}>{choice.name}</strong>
        {item && <Badges badges={item.badges} />}
        {open && (
          <button
            className="mlp-link"
            title="Open in the main area (Ctrl+Enter)"
            onClick={() => open(choice)}
          >
            Open
          </button>
        )}
      </header>
      <div className="mlp-tabs" role="tablist" onKeyDown={onKeyDown}>
        {tabs.map(each => (
          <button
            key={each}
            role="tab"
            data-tab={each}
            aria-selected={each === tab}
            tabIndex={each === tab ? 0 : -1}
            onClick={() => setTab(each)}
          >
            {each}
          </button>
        ))}
      </div>
      <div className="mlp-tab" role="tabpanel" aria-label={tab}>
        {problem ? <ProblemBox problem={problem} /> : <Tab tab={tab} item={item} {...view} />}
      </div>
    </div>
  );
}

function Tab(props: IView & { tab: string; item: Item | null }): JSX.Element {
  switch (props.tab) {
    case 'Rows':
      return <Rows {...props} />;
    case 'Profile':
      return <Columns {...props} />;
    case 'History':
      return <Past {...props} />;
    case 'Lineage':
      return <Lineage {...props} />;
    default:
      return <About {...props} />;
  }
}

function asQuery(choice: IChoice): Record<string, string> {
  return { store: choice.store, name: choice.name, kind: choice.kind };
}

/** Shows an answer: bars until it is there, the problem when it is none. */
function Asked<T>(props: {
  data: T | null;
  problem: ReturnType<typeof useAsked>['problem'];
  retry: () => void;
  children: (data: T) => JSX.Element;
}): JSX.Element {
  const { data, problem, retry, children } = props;
  if (problem) {
    return <ProblemBox problem={problem} retry={retry} />;
  }
  return data === null ? <Waiting /> : children(data);
}

function About({ choice, head, insert }: IView): JSX.Element {
  const asked = useAsked<Detail>('detail', asQuery(choice), head);
  return (
    <Asked {...asked}>
      {({ item, facts, statement }) => (
        <>
          <dl className="mlp-facts">
            {facts.map(each => (
              <React.Fragment key={each.label}>
                <dt>{each.label}</dt>
                <dd>{each.value}</dd>
              </React.Fragment>
            ))}
          </dl>
          <h4>{choice.kind === 'model' ? 'Features' : 'Columns'}</h4>
          <table className="mlp-table mlp-schema" aria-label="Columns">
            <tbody>
              {item.columns.map(each => (
                <tr key={each.name}>
                  <td>{each.name}</td>
                  <td className="mlp-type">{each.type}</td>
                  <td>{each.key && <span className="mlp-badge">key</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {statement && (
            <>
              <h4>
                Statement
                <button className="mlp-link" onClick={() => insert(statement)}>
                  Insert into the notebook
                </button>
              </h4>
              <pre className="mlp-code" tabIndex={0}>
                {statement}
              </pre>
            </>
          )}
        </>
      )}
    </Asked>
  );
}

function Rows({ choice, head }: IView): JSX.Element {
  const [offset, setOffset] = useState(0);
  const asked = useAsked<Page>('sample', { ...asQuery(choice), offset, limit: PAGE }, head);
  return (
    <Asked {...asked}>
      {({ columns, rows, offset: from, more }) => (
        <>
          <div className="mlp-scroll" tabIndex={0} role="region" aria-label="Rows">
            <table className="mlp-table mlp-rows">
              <thead>
                <tr>
                  {columns.map(each => (
                    <th
                      key={each.name}
                      className={each.number ? 'mlp-number' : ''}
                      title={each.type}
                      scope="col"
                    >
                      {each.name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((row, index) => (
                  <tr key={from + index}>
                    {row.map((value, at) => (
                      <td key={at} className={columns[at].number ? 'mlp-number' : ''} title={value ?? 'NULL'}>
                        {value ?? <em className="mlp-null">null</em>}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <footer className="mlp-pages">
            <button disabled={from === 0} onClick={() => setOffset(Math.max(0, from - PAGE))}>
              ‹ Previous
            </button>
            <span>
              {rows.length
                ? `${(from + 1).toLocaleString('en')}–${(from + rows.length).toLocaleString('en')}`
                : 'no rows'}
            </span>
            <button disabled={!more} onClick={() => setOffset(from + PAGE)}>
              Next ›
            </button>
          </footer>
        </>
      )}
    </Asked>
  );
}

function Columns({ choice, head }: IView): JSX.Element {
  const asked = useAsked<Profile>('profile', asQuery(choice), head);
  return (
    <Asked {...asked}>
      {({ rows, more, columns }) => (
        <>
          <p className="mlp-hint">
            {more ? `Of the first ${compact(rows)} rows` : `Of all ${rows.toLocaleString('en')} rows`}
          </p>
          {columns.map(each => (
            <ColumnCard key={each.name} column={each} rows={rows} />
          ))}
        </>
      )}
    </Asked>
  );
}

function ColumnCard({ column, rows }: { column: ColumnProfile; rows: number }): JSX.Element {
  const missing = rows ? column.missing / rows : 0;
  const most = Math.max(...column.top.map(each => each.rows), 1);
  return (
    <section className="mlp-column" aria-label={`Column ${column.name}`}>
      <header>
        <strong>{column.name}</strong> <span className="mlp-type">{column.type}</span>
      </header>
      {column.bins.length > 0 && (
        <>
          <Histogram bins={column.bins} label={`${column.name} from ${column.low} to ${column.high}`} />
          <div className="mlp-ends">
            <span>{column.low}</span>
            <span>{column.high}</span>
          </div>
        </>
      )}
      {column.top.length > 0 && (
        <ol className="mlp-top">
          {column.top.map(each => (
            <li key={each.value} title={`${each.value}: ${each.rows.toLocaleString('en')} rows`}>
              <span className="mlp-bar" style={{ width: `${(100 * each.rows) / most}%` }} />
              <span className="mlp-value">{each.value || '(empty)'}</span>
              <span className="mlp-aside">{compact(each.rows)}</span>
            </li>
          ))}
        </ol>
      )}
      <footer className="mlp-hint">
        {column.distinct.toLocaleString('en')} distinct
        {column.missing > 0 && ` · ${(100 * missing).toFixed(missing < 0.1 ? 1 : 0)} % missing`}
      </footer>
    </section>
  );
}

function Histogram({ bins, label }: { bins: number[]; label: string }): JSX.Element {
  const most = Math.max(...bins, 1);
  return (
    <svg
      className="mlp-histogram"
      viewBox={`0 0 ${bins.length * 10} 32`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Histogram of ${label}`}
    >
      {bins.map((count, index) => {
        const height = count ? Math.max(1, (31 * count) / most) : 0;
        return (
          <rect key={index} x={index * 10 + 0.6} width={8.8} y={32 - height} height={height}>
            <title>{`${count.toLocaleString('en')} rows`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function Past({ choice, head }: IView): JSX.Element {
  const asked = useAsked<History>('history', asQuery(choice), head);
  return (
    <Asked {...asked}>
      {({ changes, more }) => (
        <ol className="mlp-history">
          {changes.map(each => (
            <li key={each.snapshot}>
              <div className="mlp-change-head">
                <strong>@{each.snapshot}</strong>
                {each.event && <span className="mlp-badge">{each.event}</span>}
                <Counts change={each} />
                <time className="mlp-aside" dateTime={each.time} title={`${each.time} by ${each.author}`}>
                  {ago(each.time)}
                </time>
              </div>
              <div className="mlp-message" title={each.message}>
                {each.message}
              </div>
            </li>
          ))}
          {more && <li className="mlp-hint">Older changes: %mlstore history {choice.name}</li>}
        </ol>
      )}
    </Asked>
  );
}

function Counts({ change }: { change: History['changes'][number] }): JSX.Element {
  const parts: [string, string, number | null][] = [
    ['plus', '+', change.inserts],
    ['tilde', '~', change.updates],
    ['minus', '−', change.deletes]
  ];
  return (
    <>
      {parts.map(
        ([name, sign, count]) =>
          !!count && (
            <span key={name} className={`mlp-count mlp-count-${name}`}>
              {sign}
              {compact(count)}
            </span>
          )
      )}
    </>
  );
}

function Lineage({ choice, head, model }: IView): JSX.Element {
  const asked = useAsked<Graph>('lineage', asQuery(choice), head);
  const open = (name: string) => {
    const items = model.content(choice.store)?.tree?.items ?? [];
    const plain = name.replace('predictions.', '').replace('__', '.');
    const found = items.find(each => each.name === name) ?? items.find(each => each.name === plain);
    if (found) {
      model.choice = { store: choice.store, name: found.name, kind: found.kind };
    }
  };
  return <Asked {...asked}>{graph => <LineageGraph graph={graph} open={open} />}</Asked>;
}
