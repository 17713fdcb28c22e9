"""The chain: blocks made one after another, by the validators whose keys are here."""

from collections.abc import Sequence

from nacl.signing import SigningKey

from agent.amo.devnode.archive import Archive, Made
from agent.amo.devnode.genesis import Genesis
from agent.amo.devnode.ledger import Ledger
from agent.amo.tendermint.block import Block, consensus_hash, data_hash, results_hash
from agent.amo.tendermint.commit import Commit, is_final, sign
from agent.amo.tendermint.header import NO_BLOCK, Header
from agent.amo.tendermint.validators import (
    ValidatorSet,
    set_hash,
    total_power,
    validator_address,
)
from agent.clock import MS
from agent.errors import StoreError, UsageError


class Chain:
    """Opens an archive, executes what it holds, and goes on from there.

    key: of the validator that this node is; others: keys that sign with it
    latest: the newest block with its commit and outcome; None before the first
    Raises UsageError where the keys cannot make blocks final here, StoreError where the archive
    does not follow from the genesis document.
    """

    def __init__(
        self,
        genesis: Genesis,
        key: SigningKey,
        archive: Archive,
        others: Sequence[SigningKey] = (),
    ) -> None:
        self.genesis = genesis
        self.archive = archive
        self.public = bytes(key.verify_key)
        self.address = validator_address(self.public)
        self.keys = (key, *others)
        self._publics = {bytes(each.verify_key) for each in self.keys}
        self.ledger = Ledger(genesis)
        self.latest: Made | None = None
        self._consensus_hash = consensus_hash(genesis.max_bytes, genesis.max_gas)
        archive.bind(genesis.document)
        archive.set_validators(genesis.first_validators, 1)
        self._replay()
        if not self.can_commit:
            raise UsageError(self.halt_reason)

    @property
    def height(self) -> int:
        return self.latest.block.header.height if self.latest else 0

    @property
    def needs_proof(self) -> bool:
        """Whether a block is due without any transaction: to show the last one's app hash."""
        return self.latest is None or self.latest.block.header.app_hash != self.ledger.app_hash

    @property
    def can_commit(self) -> bool:
        """Whether our keys alone have more than two thirds of the next block's power."""
        members = self.validators(self.height + 1)
        return self._power(members) * 3 > total_power(members) * 2

    @property
    def halt_reason(self) -> str:
        members = self.validators(self.height + 1)
        ours = f"validator {self.address.hex().upper()} holds"
        if len(self.keys) > 1:
            ours = f"{len(self.keys)} validators hold"
        return (
            f"{ours} {self._power(members)} of "
            f"{total_power(members)} voting power; more than two thirds make a block final"
        )

    def validators(self, height: int) -> ValidatorSet:
        """Of heights up to the next one but one."""
        return self.archive.validators(height)

    def commit(self, height: int) -> Commit:
        """As the next block carries it; of the newest block as this node made it."""
        if self.latest is not None and height == self.height:
            return self.latest.commit
        return self.archive.block(height + 1).last_commit

    def make(self, txs: Sequence[bytes], now_ns: int) -> Made:
        """The next block, executed and kept. Raises StoreError; then no more can be made."""
        rounds, proposer = self._turn(self.height + 1)
        block = Block(self._header(txs, proposer), tuple(txs), self._last_commit())
        header = block.header
        time_ns = max(now_ns, header.time_ns + self.genesis.time_iota_ms * MS)
        unsigned = Commit(header.height, rounds, block.block_id)
        members = self.validators(header.height)
        commit = sign(unsigned, header.chain_id, members, self.keys, time_ns)
        assert is_final(commit, header.chain_id, members), "a block nobody would accept"
        made = Made(block, commit, self.ledger.execute(txs, proposer))
        self.archive.append(made, self.ledger.validators, header.height + 2)
        self.latest = made
        return made

    def _turn(self, height: int) -> tuple[int, bytes]:
        """(round, address) of the proposer: one after another, and who is absent costs a round.

        Tendermint lets greater power come more often; with equal power this is its order.
        """
        members = self.validators(height)
        for rounds in range(len(members)):
            each = members[(height - 1 + rounds) % len(members)]
            if each.public in self._publics:
                return rounds, each.address
        raise UsageError(self.halt_reason)

    def _header(self, txs: Sequence[bytes], proposer: bytes) -> Header:
        height, last = self.height + 1, self.latest
        codes = [outcome.code for outcome in last.outcome.outcomes] if last else []
        return Header(
            chain_id=self.genesis.chain_id,
            height=height,
            time_ns=self._time_ns(),
            last_block_id=last.block.block_id if last else NO_BLOCK,
            last_commit_hash=self._last_commit().hash(),
            data_hash=data_hash(txs),
            validators_hash=set_hash(self.validators(height)),
            next_validators_hash=set_hash(self.validators(height + 1)),
            consensus_hash=self._consensus_hash,
            app_hash=self.ledger.app_hash,
            last_results_hash=results_hash(codes),
            proposer_address=proposer,
        )

    def _time_ns(self) -> int:
        """The median of the votes for the block before, which are all of one time."""
        if self.latest is None:
            return self.genesis.time_ns
        return max(vote.time_ns for vote in self.latest.commit.votes)

    def _last_commit(self) -> Commit:
        return self.latest.commit if self.latest else Commit()

    def _power(self, members: ValidatorSet) -> int:
        return sum(each.power for each in members if each.public in self._publics)

    def _replay(self) -> None:
        """Execute what the archive holds; every header must tell what came of it."""
        for height in range(1, self.archive.height + 1):
            block = self.archive.block(height)
            expected = self.latest.block.block_id if self.latest else NO_BLOCK
            known = block.header.app_hash == self.ledger.app_hash
            if block.header.last_block_id != expected or not known:
                raise StoreError(
                    f"block {height} of the archive does not follow from block {height - 1}"
                )
            outcome = self.ledger.execute(block.txs, block.header.proposer_address)
            self.latest = Made(block, self.archive.commit(height), outcome)
