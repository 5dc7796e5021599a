# Foretoken with its native kernels: trains, writes and shows the studio, as a user without rights. From the root of a clone:
#
#     docker build -t foretoken .
#     docker run --rm -it -v foretoken-runs:/home/node/runs foretoken train
#
# docs/guides/container.md has more. examples/cluster/Dockerfile makes another image, for one model on several machines.
FROM node:20-bookworm AS build

# For every instruction set: the machines that run the image may differ from the one that builds it.
ENV FORETOKEN_BUILD_ISA=all
WORKDIR /src
# Before the sources, which change more often.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
RUN node scripts/pack.mjs --to /packages

# The package, its own dependencies in the versions of the lock file, and the kernels, which the package leaves out.
WORKDIR /opt/foretoken
RUN cp /src/package.json /src/package-lock.json /src/.npmrc . \
    && npm ci --ignore-scripts --omit=dev \
    && rm package-lock.json .npmrc \
    && tar -xzf /packages/foretoken-*.tgz --strip-components=1 \
    && cp /src/dist/backend/implementations/native/*.node dist/backend/implementations/native/

FROM node:20-bookworm-slim

COPY --from=build /opt/foretoken /opt/foretoken
RUN ln -s /opt/foretoken/dist/cli/main.js /usr/local/bin/foretoken

USER node
WORKDIR /home/node
# A new volume takes the owner of the folder that it covers.
RUN mkdir -p runs .cache/foretoken
VOLUME ["/home/node/runs", "/home/node/.cache/foretoken"]
EXPOSE 4747
ENTRYPOINT ["foretoken"]
CMD ["--help"]
