"""What can go wrong between the registry and a model that answers.

ServingError
├── Unreachable     MLflow or S3 does not answer, or refuses: try again, serve what is there
├── NoChampion      MLflow answers, and says that the alias points at nothing
└── BadModel        the version's files are not a model this service takes; trying again changes nothing
"""


class ServingError(Exception):
    pass


class Unreachable(ServingError):
    pass


class NoChampion(ServingError):
    pass


class BadModel(ServingError):
    pass
