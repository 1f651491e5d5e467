import { mount } from 'svelte';
import App from './App.svelte';
import { language } from './words/words.svelte';
import { setTheme, theme } from './state/page.svelte';
import './style.css';

window.__abatis_ready = false;
setTheme(theme.current);
document.documentElement.lang = language.current;

export default mount(App, { target: document.getElementById('app')! });
