/** Asks the server; every answer holds either data or a problem. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Answer } from './wire';

export async function request<T>(
  path: string,
  query: Record<string, string | number> = {},
  body?: object
): Promise<Answer<T>> {
  const settings = ServerConnection.makeSettings();
  const address =
    URLExt.join(settings.baseUrl, 'mlstore', 'api', path) + URLExt.objectToQueryString({ ...query });
  const init = body ? { method: 'POST', body: JSON.stringify(body) } : {};
  const reply = await ServerConnection.makeRequest(address, init, settings);
  if (!reply.ok) {
    throw await ServerConnection.ResponseError.create(reply);
  }
  return (await reply.json()) as Answer<T>;
}
