// Plays many waveforms as one: all run from the same moment, and what is heard is a matter of gains. So switching
// leaves no gap and keeps the place, to the sample.

const RATE = 32000;
const FADE = 0.008; // seconds: short enough to be at once, long enough for no click
const LEAD = 0.03; // seconds from asking all to start until they do
const LOUDEST = 0.7; // peak of the loudest waveform

export class Player {
  constructor(addresses) {
    this.addresses = addresses;
    this.buffers = addresses.map(() => null);
    this.context = null;
    this.playing = false;
    this.place = 0; // seconds, where it stands when it does not play
    this.chosen = 0;
    this.before = 0;
    this.equal = false;
    this.loop = false;
    this.volume = 1;
    this.running = [];
    this.listeners = [];
  }

  onchange(listener) {
    this.listeners.push(listener);
  }

  changed() {
    for (const listener of this.listeners) listener(this);
  }

  get duration() {
    return Math.max(0, ...this.buffers.map((buffer) => (buffer ? buffer.duration : 0)));
  }

  get position() {
    if (!this.playing) return this.place;
    const passed = this.place + Math.max(0, this.context.currentTime - this.began);
    if (!this.duration) return passed;
    return this.loop ? passed % this.duration : Math.min(passed, this.duration);
  }

  get loaded() {
    return this.buffers.filter(Boolean).length;
  }

  // Decoding needs no sound card and no permission: an offline context does it.
  async load() {
    const decoder = new OfflineAudioContext(1, 1, RATE);
    for (const [index, address] of this.addresses.entries()) {
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(await answer.text());
        this.buffers[index] = await decoder.decodeAudioData(await answer.arrayBuffer());
        if (this.playing) this.begin(index, onGrid(this.context.currentTime + LEAD));
      } catch (error) {
        this.failure = String(error.message || error);
      }
      this.changed();
    }
  }

  open() {
    if (this.context) return;
    this.context = new AudioContext({ sampleRate: RATE });
    this.master = this.context.createGain();
    this.master.gain.value = this.volume;
    this.analyser = this.context.createAnalyser();
    this.master.connect(this.analyser).connect(this.context.destination);
  }

  async play() {
    if (this.playing || !this.loaded) return;
    this.open();
    await this.context.resume();
    if (!this.loop && this.place >= this.duration - 0.01) this.place = 0;
    this.began = onGrid(this.context.currentTime + LEAD);
    this.playing = true;
    for (const index of this.buffers.keys()) this.begin(index, this.began);
    this.changed();
  }

  begin(index, when) {
    const buffer = this.buffers[index];
    if (!buffer || this.running[index]) return;
    const source = new AudioBufferSourceNode(this.context, { buffer, loop: this.loop });
    const gain = new GainNode(this.context, { gain: index === this.chosen ? this.level(index) : 0 });
    source.connect(gain).connect(this.master);
    const place = this.place + (when - this.began);
    source.start(when, this.loop ? place % buffer.duration : Math.min(place, buffer.duration));
    this.running[index] = { source, gain };
    if (this.loop) source.loopEnd = buffer.duration;
  }

  pause() {
    if (!this.playing) return;
    this.place = onGrid(this.position);
    this.playing = false;
    for (const pair of this.running) if (pair) pair.source.stop();
    this.running = [];
    this.changed();
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  async seek(seconds) {
    const place = onGrid(Math.min(Math.max(0, seconds), this.duration));
    const again = this.playing;
    this.pause();
    this.place = place;
    this.changed();
    if (again) await this.play();
  }

  choose(index) {
    if (index < 0 || index >= this.addresses.length || index === this.chosen) return;
    this.before = this.chosen;
    this.chosen = index;
    this.fade();
    this.changed();
  }

  fade() {
    for (const [index, pair] of this.running.entries()) {
      if (!pair) continue;
      const now = this.context.currentTime;
      pair.gain.gain.cancelScheduledValues(now);
      pair.gain.gain.setValueAtTime(pair.gain.gain.value, now);
      pair.gain.gain.linearRampToValueAtTime(index === this.chosen ? this.level(index) : 0, now + FADE);
    }
  }

  setEqual(equal) {
    this.equal = equal;
    this.fade();
    this.changed();
  }

  async setLoop(loop) {
    this.loop = loop;
    await this.seek(this.position);
  }

  setVolume(decibels) {
    this.volume = 10 ** (decibels / 20);
    if (this.master) this.master.gain.setTargetAtTime(this.volume, this.context.currentTime, 0.01);
  }

  // One gain for all, so that what is quieter sounds quieter; or, if asked for, one loudness for all.
  level(index) {
    const facts = this.buffers.map((buffer) => (buffer ? measure(buffer) : { peak: 0, power: 0 }));
    const common = LOUDEST / Math.max(1e-6, ...facts.map((fact) => fact.peak));
    if (!this.equal) return common;
    const loudest = Math.max(...facts.map((fact) => fact.power));
    const { peak, power } = facts[index];
    if (power <= 0) return common;
    return Math.min(common * Math.sqrt(loudest / power), LOUDEST / peak);
  }

  // At the end it stands still, at the end.
  settle() {
    if (this.playing && !this.loop && this.position >= this.duration) this.pause();
  }
}

// Between two samples a browser would interpolate, and take the highs away.
const onGrid = (seconds) => Math.round(seconds * RATE) / RATE;

const measured = new WeakMap();

function measure(buffer) {
  if (!measured.has(buffer)) {
    let peak = 0;
    let power = 0;
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
      for (const sample of buffer.getChannelData(channel)) {
        peak = Math.max(peak, Math.abs(sample));
        power += sample * sample;
      }
    }
    measured.set(buffer, { peak, power: power / buffer.numberOfChannels / Math.max(1, buffer.length) });
  }
  return measured.get(buffer);
}
