# All of the service in one image: docker build -t downloader .
#
#   docker run --network host downloader                              API, processor and notifier (entrypoint.sh)
#   docker run --network host downloader processor -c /srv/config.json    one of them
#   docker run -v …:/custom-config.json --entrypoint /srv/downloader downloader api -c /custom-config.json --host 0.0.0.0
#
# /srv/config.json is config.json.sample: mount your own there, or change values by DOWNLOADER_SECTION__KEY.
# /srv/data holds the files of that configuration; it belongs to user 1000.

FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json build.mjs ./
COPY client ./client
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /srv
COPY --from=build /build/package.json /opt/downloader/
COPY --from=build /build/node_modules /opt/downloader/node_modules
COPY --from=build /build/dist /opt/downloader/dist
COPY entrypoint.sh /srv/
COPY config.json.sample /srv/config.json
# Absolute paths: the command works without any environment.
RUN printf '#!/bin/sh\nexec /usr/local/bin/node /opt/downloader/dist/main.js "$@"\n' >/srv/downloader \
    && chmod 755 /srv/downloader /srv/entrypoint.sh \
    && mkdir /srv/data && chown node:node /srv/data
USER node
VOLUME /srv/data
EXPOSE 8000
# Asks what the container runs: the API's port, a worker's metrics_port, or nobody.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/srv/downloader", "health"]
ENTRYPOINT ["/srv/entrypoint.sh"]
