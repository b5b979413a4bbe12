/** A 2 × 2 picture. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP4z8DAwMDAxAADLBAMEQYADEQBBfeuREkAAAAASUVORK5CYII=',
  'base64',
)

/** How a small download ended well. */
export const RESULT = {
  success: true,
  error: '',
  errorCode: '',
  responseCode: 200,
  imageSize: '',
  size: 3,
  sha256: 'abc',
  mimeType: 'text/plain',
  path: 'abc/abcdef',
}
