#!/usr/bin/python3
"""Some library prints on stdout between the messages."""

import sys

from well_behaved import Engine


class PrintsGarbage(Engine):
    def send(self, message):
        sys.stdout.buffer.write(b'Loading checkpoint shards: 100%|####|\n{"not": "rpc"}\n[1, 2]\n\xff\xfe\n\n')
        super().send(message)


PrintsGarbage().run()
