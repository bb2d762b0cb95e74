"""Scalar's API reference 1.46.4, vendored: `standalone.js` of the npm package @scalar/api-reference, unchanged, and its licence."""
