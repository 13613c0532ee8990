"use strict";

// Keeps the page as the host says it is, without loading it again. What the reader
// has opened, or is at, stays.
(() => {
  const silence = 20000; // ms; the host says something every 5 s
  const again = 5000; // ms

  // morph makes an element like another one, place by place.
  const morph = (is, wanted) => {
    if (is.nodeName !== wanted.nodeName) {
      is.replaceWith(document.importNode(wanted, true));
      return;
    }
    if (is.nodeType !== Node.ELEMENT_NODE) {
      if (is.nodeValue !== wanted.nodeValue) is.nodeValue = wanted.nodeValue;
      return;
    }
    for (const { name } of [...is.attributes]) {
      if (name !== "open" && !wanted.hasAttribute(name)) is.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (is.getAttribute(name) !== value) is.setAttribute(name, value);
    }
    const have = [...is.childNodes];
    const want = [...wanted.childNodes];
    have.slice(want.length).forEach((node) => node.remove());
    want.forEach((node, i) => {
      if (i < have.length) morph(have[i], node);
      else is.append(document.importNode(node, true));
    });
  };

  const show = (id, shown) => {
    document.getElementById(id).hidden = !shown;
  };

  let stream;
  let timer;

  const lost = () => {
    show("lost", true);
    show("live", false);
  };

  const listen = () => {
    stream?.close();
    stream = new EventSource("/events");
    stream.onmessage = (message) => {
      wait(silence);
      const page = new DOMParser().parseFromString(message.data, "text/html");
      document.title = page.title;
      page.getElementById("live").hidden = false;
      morph(document.body, page.body);
    };
    stream.onerror = () => {
      lost();
      wait(again);
    };
  };

  // wait listens anew unless something is heard within a time.
  const wait = (time) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      lost();
      listen();
      wait(silence);
    }, time);
  };

  listen();
  wait(silence);
})();
