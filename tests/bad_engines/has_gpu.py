#!/usr/bin/python3
"""A well-behaved engine on a machine with a GPU."""

import dataclasses

from well_behaved import Engine, contract


class HasGpu(Engine):
    def do_initialize(self, id_, params):
        devices = (contract.Device("cuda", "NVIDIA GPU", True), contract.Device("cpu", "CPU"))
        return dataclasses.replace(super().do_initialize(id_, params), devices=devices)


HasGpu().run()
