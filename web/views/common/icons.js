// Our own icons: 20 by 20, drawn with lines that take the text's colour.
import { html } from "../../html.js";

const icon = (paths) => (props) =>
  html`<svg viewBox="0 0 20 20" class="icon" aria-hidden="true" focusable="false" ...${props}>${paths}</svg>`;

/** A row of quiet seconds and one that speaks. */
export const Logo = () => html`
  <svg viewBox="0 0 32 32" class="logo" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" class="logo-ground" />
    <path class="logo-quiet" d="M6 20v2M11 18.5v3.5M21 18.5v3.5M26 20v2" />
    <path class="logo-voice" d="M16 14v8" />
    <circle class="logo-dot" cx="16" cy="9.5" r="3.1" />
  </svg>
`;

export const CameraIcon = icon(html`<rect x="2.5" y="5.5" width="10" height="9" rx="2" /><path d="M12.500 9l5-2.500v7l-5-2.500" />`);
export const PhoneDownIcon = icon(html`<path d="M3 12.500c0-1 .3-1.700 1-2.300 3.300-2.900 8.700-2.900 12 0 .7.600 1 1.300 1 2.300 0 1-.6 1.400-1.400 1.200l-2.200-.5c-.6-.1-.9-.6-.9-1.200v-.9c-1.700-.5-3.300-.5-5 0v.9c0 .6-.3 1.100-.9 1.200l-2.200.5c-.8.2-1.400-.2-1.400-1.200z" />`);
export const SpeakerIcon = icon(html`<path d="M3.500 8v4h2.500l4 3.500v-11l-4 3.500zM13 7.500c1.300 1.300 1.300 3.700 0 5M15.300 5.300c2.500 2.500 2.500 6.900 0 9.400" />`);
export const SpeakerOffIcon = icon(html`<path d="M3.500 8v4h2.500l4 3.500v-11l-4 3.500zM13 8l4 4M17 8l-4 4" />`);
export const MicrophoneIcon = icon(html`<rect x="7.500" y="2.500" width="5" height="9" rx="2.500" /><path d="M4.500 9.500a5.500 5.500 0 0 0 11 0M10 15v2.500" />`);
export const MicrophoneOffIcon = icon(html`<rect x="7.500" y="2.500" width="5" height="9" rx="2.500" /><path d="M4.500 9.500a5.500 5.500 0 0 0 11 0M10 15v2.500M3.500 3.500l13 13" />`);
export const PlusIcon = icon(html`<path d="M10 4.500v11M4.500 10h11" />`);
export const CrossIcon = icon(html`<path d="M5.500 5.500l9 9M14.500 5.500l-9 9" />`);
export const PauseIcon = icon(html`<path d="M7.500 5.500v9M12.500 5.500v9" />`);
export const PlayIcon = icon(html`<path d="M7 5.200v9.600l7.500-4.800z" />`);
export const BellIcon = icon(html`<path d="M5 13.500c1-1 1.200-2 1.200-4.200a3.800 3.800 0 0 1 7.600 0c0 2.200.2 3.200 1.200 4.200zM8.500 16c.8.8 2.200.8 3 0" />`);
export const SendIcon = icon(html`<path d="M10 15.500v-11M5.500 9L10 4.500 14.500 9" />`);
export const BackIcon = icon(html`<path d="M12 4.500L6.500 10l5.500 5.500" />`);
export const DownIcon = icon(html`<path d="M10 4.500v11M5.500 11l4.500 4.500 4.500-4.500" />`);
export const CheckIcon = icon(html`<path d="M4.500 10.500l3.500 3.500 7.500-8" />`);
export const WarnIcon = icon(html`<path d="M10 3.500l7 12.500H3zM10 8.500v3.500M10 14v.1" />`);
export const ForwardIcon = icon(html`<path d="M8 4.500l5.500 5.500-5.500 5.500" />`);
export const UpIcon = icon(html`<path d="M10 15.500v-11M5.500 9L10 4.500 14.500 9" />`);
export const SearchIcon = icon(html`<circle cx="9" cy="9" r="5" /><path d="M12.800 12.800l3.700 3.700" />`);
export const FilterIcon = icon(html`<path d="M3.500 5.500h13M6 10h8M8.500 14.500h3" />`);
export const FilmIcon = icon(html`<rect x="3" y="4.500" width="14" height="11" rx="2" /><path d="M8.300 7.700v4.600l3.800-2.300z" />`);
export const PinIcon = icon(html`<path d="M6 3.500h8v13l-4-3.200-4 3.200z" />`);
export const BinIcon = icon(html`<path d="M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10M8.500 9v4.500M11.500 9v4.500" />`);
export const DoorIcon = icon(html`<path d="M11.500 4H5v12h6.500M9 10h8M14 7l3 3-3 3" />`);
export const PencilIcon = icon(html`<path d="M4 16l.8-3.300L13 4.500l2.500 2.500-8.200 8.200zM11.500 6L14 8.500" />`);
