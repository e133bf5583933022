"""Past one machine: gateways that share their backlog by RabbitMQ quorum queues, with the batch as its message.

::

    listeners -> spool of this machine -> Giver -> queue PREFIX.INTAKE -> Taker -> courier -> collector
                        |                                                            ^
                        +------------ no broker for a while, role both --------------+

A sealed batch goes to its intake's queue, persistent; its file goes when the broker has confirmed it, which a quorum
queue does once a majority of its members has it on disk. Couriers of any node take batches, deliver them by the same
outcome table, and acknowledge them after their acceptance. What is not acknowledged when a node dies, the broker gives
to another.

Rules
    Queues are for hand-over, not for outages: they are bounded (``x-max-length-bytes``, ``reject-publish``), and what
    they refuse waits in the spool of the gateway that received it, as without a share.
    A batch is in the account of one node at a time: the giver's until the confirm (*handed_over*), the taker's from
    the delivery on (*taken_over*); given back it is *handed_over* by the taker. While it is in a queue it is in none.
    What may have been published or accepted without our knowing is sent again, and counted as possibly double.
    A batch that was taken over is in memory only, as the queue holds it; how much is bounded.

Refused designs
    *Events as messages*: a million a second are no broker's work, a few thousand batches are.
    *A consumer's disk copy*: two places that each believe to have the only one.
    *Dead-letter queues*: a batch that cannot be read goes to this node's quarantine, where the operator looks.
    *A delivery limit*: a parked intake gives its batches back for hours, which are not poison; it is off.

Only ``amqp`` and ``amqp_channel`` import pika, and only where a share is configured.
"""
