#!/bin/sh
# As the image `postgres` does: a cluster in its volume, made at the first start.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA=/var/lib/postgresql/data/cluster
if ! test -s "$PGDATA/PG_VERSION"; then
    mkdir -p "$PGDATA"
    chown -R postgres: "$PGDATA"
    echo "$POSTGRES_PASSWORD" > /tmp/password
    chown postgres: /tmp/password
    setpriv --reuid postgres --regid postgres --clear-groups \
        initdb --username "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 \
        --encoding UTF8 --locale C.UTF-8
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | setpriv --reuid postgres --regid postgres --clear-groups \
        postgres --single postgres
fi
exec setpriv --reuid postgres --regid postgres --clear-groups \
    postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
