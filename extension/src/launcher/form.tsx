/** The form in which the parameters of a template are set. */
import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import React from 'react';
import { Parameter, Template } from '../wire';

type Value = string | number | boolean | null;
export type Values = Record<string, Value>;

/** Asks for the parameters; null when the user changes their mind. */
export async function askForParameters(template: Template): Promise<Values | null> {
  if (template.parameters.length === 0) {
    return {};
  }
  const body = new Form(template);
  const result = await showDialog({
    title: template.title,
    body,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Create' })],
    focusNodeSelector: 'input'
  });
  return result.button.accept ? result.value : null;
}

class Form extends ReactWidget implements Dialog.IBodyWidget<Values> {
  constructor(private template: Template) {
    super();
    this.addClass('mlp-form');
    this._values = Object.fromEntries(template.parameters.map(each => [each.name, each.value]));
  }

  getValue(): Values {
    return this._values;
  }

  protected render(): JSX.Element {
    return (
      <>
        {this.template.about && <p className="mlp-form-about">{this.template.about}</p>}
        {this.template.parameters.map(each => (
          <Field key={each.name} parameter={each} set={value => (this._values[each.name] = value)} />
        ))}
      </>
    );
  }

  private _values: Values;
}

function Field({ parameter, set }: { parameter: Parameter; set: (value: Value) => void }): JSX.Element {
  const id = `mlp-form-${parameter.name}`;
  const shared = { id, 'aria-describedby': parameter.about ? `${id}-about` : undefined };
  return (
    <div className="mlp-field">
      <label htmlFor={id}>{parameter.name.replace(/_/g, ' ')}</label>
      {parameter.kind === 'choice' ? (
        <input
          {...shared}
          type="checkbox"
          defaultChecked={parameter.value === true}
          onChange={event => set(event.target.checked)}
        />
      ) : (
        <input
          {...shared}
          className="jp-mod-styled"
          type={parameter.kind === 'number' ? 'number' : 'text'}
          step="any"
          defaultValue={parameter.value === null ? '' : String(parameter.value)}
          onChange={event => set(valueOf(parameter, event.target.value))}
        />
      )}
      {parameter.about && (
        <p id={`${id}-about`} className="mlp-hint">
          {parameter.about}
        </p>
      )}
    </div>
  );
}

function valueOf(parameter: Parameter, text: string): Value {
  if (parameter.kind === 'number') {
    return text === '' ? null : Number(text);
  }
  return text === '' && parameter.value === null ? null : text;
}
