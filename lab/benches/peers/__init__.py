"""The programs the iris service is compared with, as their own documentation would have them, and the pinned packages of each (NAME.txt).

They run in environments of their own and import nothing of the lab; where MODEL points is a scikit-learn forest kept by joblib.
"""
