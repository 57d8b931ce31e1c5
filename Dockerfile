# Ciliary on a CPU, as a user without rights:
#   docker build -t ciliary .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" ciliary accommodate photo.jpg --save maps
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps -w /wheels .

FROM python:3.11.13-slim-bookworm
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MPLBACKEND=Agg HOME=/home/ciliary
RUN python -m pip install --index-url https://download.pytorch.org/whl/cpu torch torchvision
COPY --from=build /wheels /wheels
RUN python -m pip install /wheels/*.whl
# Whoever is named by --user may write where caches go; results go to the folder that is mounted.
RUN useradd --uid 1000 --create-home ciliary && chmod 1777 /home/ciliary && install -d -o ciliary -m 1777 /work
USER ciliary
WORKDIR /work
ENTRYPOINT ["ciliary"]
CMD ["--help"]
