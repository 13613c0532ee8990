import { connect } from './directory/connector.js';
import { manifest } from './directory/manifest.js';
import { serve } from './wire/serve.js';

await serve({ manifest, connect });
