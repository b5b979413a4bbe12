/** The login form: plain HTML, so that it works before anything else may be loaded. */
export function loginPage({ next, wrong }: { next: string; wrong: boolean }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Downloader: log in</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/login/login.css">
</head>
<body>
<main>
<h1>Downloader</h1>
<form method="post" action="/login">
<input type="hidden" name="next" value="${next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
${wrong ? '<p role="alert">This is no token of this deployment.</p>' : ''}
<button>Log in</button>
</form>
<p>One of <code>api.tokens</code> in the configuration.</p>
</main>
</body>
</html>
`
}
