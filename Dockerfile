# Debian rather than Alpine: the build runs on the Node that the checkout brings along, which needs glibc.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY runtime runtime
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY runtime runtime
# npm keeps TypeScript: a dependency names it as an optional peer. The program never loads it.
RUN npm ci --omit=dev --ignore-scripts && rm -r node_modules/typescript node_modules/@typescript

FROM node:24-slim
ENV NODE_ENV=production VIDBATCH_DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY --from=build /app/dist dist
# A named volume takes its owner from here on first use; without one, the folder is the container's own.
RUN install -d -o node -g node -m 0700 /data
USER node
ENTRYPOINT ["node", "bin/vidbatch.js"]
CMD ["--help"]
