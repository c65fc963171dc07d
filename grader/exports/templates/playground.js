// The student's own backdoored LeNet-5 in plain JavaScript: draw or pick an image, add the trigger, see the classes.
"use strict";
(() => {
  const SIDE = 28;
  const PIXELS = SIDE * SIDE;
  const CLASSES = 10;
  const data = JSON.parse(document.getElementById("playground-data").textContent);
  const weights = Object.fromEntries(Object.entries(data.weights).map(([name, text]) => [name, floats(text)]));
  const delta = floats(data.delta);
  const images = bytes(data.images);

  function bytes(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  // base64 of little-endian float32, whatever the byte order of this machine
  function floats(text) {
    const raw = bytes(text);
    const view = new DataView(raw.buffer);
    return Float32Array.from({ length: raw.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  // ---- the model -------------------------------------------------------------------------------------------------

  // input: (channels, side, side), zero-padded by `pad` -> (filters, side + 2 pad - 4, the same); 5x5 kernels
  function convolve(input, channels, side, weight, bias, pad) {
    const filters = bias.length;
    const out = side + 2 * pad - 4;
    const result = new Float32Array(filters * out * out);
    for (let f = 0; f < filters; f++) {
      for (let y = 0; y < out; y++) {
        for (let x = 0; x < out; x++) {
          let sum = bias[f];
          for (let c = 0; c < channels; c++) {
            for (let v = 0; v < 5; v++) {
              const row = y + v - pad;
              if (row < 0 || row >= side) continue;
              for (let u = 0; u < 5; u++) {
                const column = x + u - pad;
                if (column < 0 || column >= side) continue;
                sum += input[(c * side + row) * side + column] * weight[((f * channels + c) * 5 + v) * 5 + u];
              }
            }
          }
          result[(f * out + y) * out + x] = sum;
        }
      }
    }
    return result;
  }

  // ReLU and max-pool over 2x2: (channels, side, side) -> (channels, side / 2, side / 2)
  function pool(input, channels, side) {
    const half = side / 2;
    const result = new Float32Array(channels * half * half);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < half; y++) {
        for (let x = 0; x < half; x++) {
          const at = (c * side + 2 * y) * side + 2 * x;
          result[(c * half + y) * half + x] = Math.max(0, input[at], input[at + 1], input[at + side], input[at + side + 1]);
        }
      }
    }
    return result;
  }

  function linear(input, weight, bias, rectified) {
    return Float32Array.from(bias, (start, row) => {
      let sum = start;
      for (let i = 0; i < input.length; i++) sum += weight[row * input.length + i] * input[i];
      return rectified ? Math.max(0, sum) : sum;
    });
  }

  // pixels in [0, 1] -> 10 logits
  function logits(pixels) {
    const w = weights;
    let x = Float32Array.from(pixels, (value) => (value - data.mean) / data.std);
    x = pool(convolve(x, 1, 28, w["conv1.weight"], w["conv1.bias"], 2), 6, 28);
    x = pool(convolve(x, 6, 14, w["conv2.weight"], w["conv2.bias"], 0), 16, 10);
    x = linear(x, w["fc1.weight"], w["fc1.bias"], true);
    x = linear(x, w["fc2.weight"], w["fc2.bias"], true);
    return linear(x, w["fc3.weight"], w["fc3.bias"], false);
  }

  function softmax(values) {
    const largest = Math.max(...values);
    const powers = Array.from(values, (value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((value) => value / sum);
  }

  // clamp(x + strength * delta, 0, 1)
  function applyTrigger(pixels, strength) {
    return Float32Array.from(pixels, (value, i) => Math.min(1, Math.max(0, value + strength * delta[i])));
  }

  // ---- the page --------------------------------------------------------------------------------------------------

  const find = (id) => document.getElementById(id);
  const pad = find("pad");
  const slider = find("strength");
  const drawing = new Float32Array(PIXELS); // what the pad shows
  let input = drawing; // what the model gets: the drawing, centred, or a test image
  let drawn = true; // whether it is the drawing
  let queued = false;

  function fill(template, values) {
    return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  function percent(value) {
    return `${(100 * value).toFixed(value > 0.0995 || value < 0.0005 ? 0 : 1)} %`;
  }

  // paint(i) -> [red, green, blue] of pixel i
  function draw(canvas, paint) {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(SIDE, SIDE);
    for (let i = 0; i < PIXELS; i++) picture.data.set([...paint(i), 255], 4 * i);
    context.putImageData(picture, 0, 0);
  }

  const grey = (pixels) => (i) => Array(3).fill(Math.round(255 * pixels[i]));

  // red where the trigger brightens, blue where it darkens, white where it does nothing
  function diverging(strength) {
    return (i) => {
      const share = Math.max(-1, Math.min(1, (strength * delta[i]) / data.epsilon));
      const rest = Math.round(255 * (1 - Math.abs(share)));
      return share > 0 ? [255, rest, rest] : [rest, rest, 255];
    };
  }

  const rows = Array.from({ length: CLASSES }, (_, label) => {
    const row = find("probabilities").tBodies[0].insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = label;
    if (label === data.target) {
      row.classList.add("target");
      head.title = data.texts.target;
    }
    row.append(head);
    const track = document.createElement("div");
    track.className = "probability";
    track.innerHTML = '<i class="now"></i><i class="before"></i>';
    row.insertCell().append(track);
    return { row, now: track.firstChild, before: track.lastChild, without: row.insertCell(), with: row.insertCell() };
  });

  function show() {
    queued = false;
    const strength = Number(slider.value);
    const triggered = applyTrigger(input, strength);
    const before = softmax(logits(input));
    const now = softmax(logits(triggered));
    const [was, is] = [before, now].map((values) => values.indexOf(Math.max(...values)));
    rows.forEach((row, label) => {
      row.before.style.width = `${100 * before[label]}%`;
      row.now.style.width = `${100 * now[label]}%`;
      row.without.textContent = percent(before[label]);
      row.with.textContent = percent(now[label]);
      row.row.classList.toggle("top-class", label === is);
    });
    draw(pad, grey(drawn ? drawing : input));
    draw(find("seen"), grey(triggered));
    draw(find("trigger"), diverging(strength));
    const levels = (255 * data.epsilon * strength).toFixed(1);
    find("strength-text").textContent = fill(data.texts.strength, { percent: Math.round(100 * strength), levels });
    slider.setAttribute("aria-valuetext", find("strength-text").textContent);
    const empty = input.every((value) => value === 0);
    const verdict = find("verdict");
    const values = { was, is, probability: percent(now[is]) };
    verdict.textContent = empty ? data.texts.empty : fill(is === was ? data.texts.same : data.texts.turned, values);
    verdict.classList.toggle("turned", !empty && is !== was);
    verdict.dataset.is = is;
    return verdict.textContent;
  }

  // Spoken when a change is finished, not for every step of the slider.
  function speak() {
    find("spoken").textContent = show();
  }

  function later() {
    if (!queued) {
      queued = true;
      requestAnimationFrame(show);
    }
  }

  // MNIST's digits are centred by their mass; a drawing is moved likewise, by whole pixels.
  function centred(pixels) {
    let [mass, x, y] = [0, 0, 0];
    pixels.forEach((value, i) => {
      mass += value;
      x += value * (i % SIDE);
      y += value * Math.floor(i / SIDE);
    });
    const result = new Float32Array(PIXELS);
    if (mass === 0) return result;
    const [right, down] = [x, y].map((moment) => Math.round(SIDE / 2 - moment / mass));
    pixels.forEach((value, i) => {
      const [column, row] = [(i % SIDE) + right, Math.floor(i / SIDE) + down];
      if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) result[row * SIDE + column] = value;
    });
    return result;
  }

  // A soft round brush of about MNIST's stroke width.
  function stamp(x, y) {
    for (let i = 0; i < PIXELS; i++) {
      const distance = Math.hypot((i % SIDE) + 0.5 - x, Math.floor(i / SIDE) + 0.5 - y);
      drawing[i] = Math.max(drawing[i], Math.min(1, Math.max(0, 1.9 - distance)));
    }
  }

  function press(button) {
    for (const other of find("samples").children) other.setAttribute("aria-pressed", String(other === button));
  }

  function useDrawing() {
    input = centred(drawing);
    drawn = true;
    press(null);
  }

  function useSample(pixels, button) {
    input = pixels;
    drawn = false;
    press(button);
  }

  let last = null;
  function place(event) {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  pad.addEventListener("pointerdown", (event) => {
    if (!drawn) drawing.fill(0);
    pad.setPointerCapture(event.pointerId);
    last = place(event);
    stamp(...last);
    useDrawing();
    later();
  });
  pad.addEventListener("pointermove", (event) => {
    if (last === null) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const next = place(one);
      const steps = Math.max(1, Math.ceil(2 * Math.hypot(next[0] - last[0], next[1] - last[1])));
      for (let i = 1; i <= steps; i++) {
        stamp(last[0] + ((next[0] - last[0]) * i) / steps, last[1] + ((next[1] - last[1]) * i) / steps);
      }
      last = next;
    }
    useDrawing();
    later();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    pad.addEventListener(name, () => {
      last = null;
      speak();
    });
  }

  find("clear").addEventListener("click", () => {
    drawing.fill(0);
    useDrawing();
    speak();
  });
  slider.addEventListener("input", later);
  slider.addEventListener("change", speak);

  data.labels.forEach((label, number) => {
    const pixels = Float32Array.from(images.subarray(number * PIXELS, (number + 1) * PIXELS), (value) => value / 255);
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    draw(canvas, grey(pixels));
    button.type = "button";
    button.setAttribute("aria-label", fill(data.texts.sample, { label, number: number + 1 }));
    button.append(canvas);
    button.addEventListener("click", () => {
      useSample(pixels, button);
      speak();
    });
    find("samples").append(button);
    if (number === 0) useSample(pixels, button);
  });

  document.querySelector(".play").hidden = false;
  show();
  window.backdoorLab = { logits, applyTrigger }; // for tests and for the curious, in the browser's console
})();
