// The button that ends a search. A running cell keeps the kernel's shell busy, and JupyterLab sends
// what a widget says there; so the button opens a subshell, in which the kernel answers meanwhile.

const PATIENCE = 8000;

const unique = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Where Jupyter's server answers, as the page itself knows. */
function address(path) {
  const settings = document.getElementById("jupyter-config-data");
  const base = settings ? JSON.parse(settings.textContent).baseUrl || "/" : "/";
  return new URL(base + path, window.location.href);
}

/** Write a message to a kernel, as Jupyter's protocol has it. */
function message(session, channel, type, content, subshell) {
  const header = { msg_id: unique(), msg_type: type, session, username: "", date: new Date().toISOString(), version: "5.5" };
  if (subshell) header.subshell_id = subshell;
  return JSON.stringify({ channel, header, content, parent_header: {}, metadata: {}, buffers: [] });
}

/** Run code in a subshell of a kernel; resolves once it has run. */
function runBeside(kernel, code) {
  const session = unique();
  const url = address(`api/kernels/${kernel}/channels?session_id=${session}`);
  url.protocol = url.protocol.replace("http", "ws");
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    let subshell;
    const end = (settle) => {
      clearTimeout(timer);
      if (subshell) socket.send(message(session, "control", "delete_subshell_request", { subshell_id: subshell }));
      socket.close();
      settle();
    };
    const fail = () => end(reject);
    const timer = setTimeout(fail, PATIENCE);
    socket.onerror = fail;
    socket.onopen = () => socket.send(message(session, "control", "create_subshell_request", {}));
    socket.onmessage = ({ data }) => {
      const { header, parent_header: asked, content } = JSON.parse(data);
      if (asked.session !== session || !header.msg_type.endsWith("_reply")) return;
      if (content.status !== "ok") return fail();
      if (header.msg_type === "create_subshell_reply") {
        subshell = content.subshell_id;
        const request = { code, silent: true, store_history: false, user_expressions: {}, allow_stdin: false };
        socket.send(message(session, "shell", "execute_request", request, subshell));
      } else if (header.msg_type === "execute_reply") end(resolve);
    };
  });
}

/** Interrupt a kernel, as the button of the notebook does. */
async function interrupt(kernel) {
  const xsrf = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie);
  const headers = xsrf ? { "X-XSRFToken": xsrf[1] } : {};
  const answer = await fetch(address(`api/kernels/${kernel}/interrupt`), { method: "POST", headers });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
}

export default {
  render({ model, el }) {
    const here = frame(model, el, "", "");
    const { kernel, code } = model.get("start");
    const stop = button("Stop and keep the best so far", async () => {
      stop.disabled = true;
      here.say("stopping …");
      try {
        await runBeside(kernel, code);
        here.say("The search ends after what it is trying now; the best setting so far is then trained on all training rows.");
      } catch {
        here.say("");
        here.fail(
          { message: "This kernel takes no other request while it runs a cell.", hint: "Interrupting it makes no model now: the trials are kept, and the same training again goes on after them." },
          "stop",
        );
        stop.replaceWith(otherwise);
      }
    }, { "data-asks": true });
    const otherwise = button("Interrupt the cell, keep the trials", async () => {
      otherwise.disabled = true;
      try {
        await interrupt(kernel);
      } catch (problem) {
        here.fail({ message: `Jupyter's server did not interrupt the kernel: ${problem.message}`, hint: "Use the notebook's own stop button: the trials are kept." }, "stop");
      }
    }, { "data-asks": true });
    here.body.append(h("div", { class: "mlw-tools" }, stop));
    return () => here.ask.close();
  },
};
