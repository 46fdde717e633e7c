// Draws /openapi.json: every path with its parameters, answers, and a form that asks the service itself.
"use strict";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Text with `code` in it, as nodes; a line break within a paragraph is a space.
function text(markdown) {
  return (markdown || "").replace(/([^\n])\n(?!\n)/g, "$1 ").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function example(schema) {
  return String(schema.examples?.[0] ?? schema.default ?? "");
}

function field(parameter) {
  const schema = parameter.schema;
  const choices = schema.enum ?? schema.anyOf?.find((each) => each.enum)?.enum;
  const attributes = { name: parameter.name, "aria-label": parameter.name };
  if (!choices) {
    return element("input", { ...attributes, value: parameter.required ? example(schema) : "", placeholder: example(schema) });
  }
  const select = element("select", attributes);
  if (!parameter.required) select.append(element("option", { value: "" }, ""));
  for (const each of choices) select.append(element("option", { value: each }, each));
  select.value = parameter.required || schema.default ? example(schema) : "";
  return select;
}

function parameterTable(parameters, fields) {
  const table = element("table");
  for (const parameter of parameters) {
    const name = element("code", {}, parameter.name);
    const required = parameter.required ? element("span", { class: "required" }, " required") : "";
    const input = field(parameter);
    fields.push([parameter, input]);
    table.append(element("tr", {}, element("td", {}, name, required), element("td", {}, ...text(parameter.description)), element("td", {}, input)));
  }
  return table;
}

async function ask(path, fields, output) {
  const query = new URLSearchParams();
  const headers = {};
  for (const [parameter, input] of fields) {
    if (input.value === "") continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  const url = query.size ? `${path}?${query}` : path;
  output.replaceChildren(`GET ${url}\n…`);
  try {
    const answer = await fetch(url, { headers, cache: "no-store" });
    const body = await answer.text();
    const shown = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const status = element("span", { class: "status" }, `${answer.status} ${answer.statusText}`);
    const rest = body.length > 20000 ? `${body.slice(0, 20000)}\n… ${body.length} characters` : body;
    output.replaceChildren(`GET ${url}\n\n`, status, `\n${shown}\n\n${rest}`);
  } catch (error) {
    output.replaceChildren(`GET ${url}\n\n${error}`);
  }
}

function operation(path, described) {
  const fields = [];
  const output = element("pre", { hidden: "" });
  const button = element("button", { type: "button" }, "Ask");
  button.addEventListener("click", () => {
    output.hidden = false;
    ask(path, fields, output);
  });
  const answers = element("table");
  for (const [status, answer] of Object.entries(described.responses)) {
    const kinds = Object.keys(answer.content ?? {}).join(", ");
    const headers = Object.keys(answer.headers ?? {}).join(", ");
    answers.append(element("tr", {}, element("td", {}, status), element("td", {}, ...text(answer.description)), element("td", {}, kinds), element("td", {}, headers)));
  }
  return element(
    "details",
    { id: described.operationId },
    element("summary", {}, element("b", {}, "GET"), element("code", {}, path), element("span", {}, described.summary ?? "")),
    element(
      "div",
      { class: "body" },
      element("p", { class: "description" }, ...text(described.description)),
      parameterTable(described.parameters ?? [], fields),
      button,
      output,
      answers,
    ),
  );
}

async function draw() {
  const described = await (await fetch("/openapi.json")).json();
  document.getElementById("title").textContent = `${described.info.title} ${described.info.version}`;
  document.getElementById("about").replaceChildren(...text(described.info.description));
  const groups = new Map();
  for (const [path, methods] of Object.entries(described.paths)) {
    if (!methods.get) continue;
    const tag = methods.get.tags?.[0] ?? "";
    if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", {}, tag)));
    groups.get(tag).append(operation(path, methods.get));
  }
  document.getElementById("operations").replaceChildren(...groups.values());
  if (location.hash) document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
}

draw().catch((error) => document.getElementById("operations").replaceChildren(`/openapi.json can't be read: ${error}`));
